"""Kills a stack's processes in turn, and once at each failpoint, while it is at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.failpoints import SETTING
from tests.support.waiting import eventually
from tests.support.whole_stack import Rig

DOWN_S = 2.0


@dataclass(frozen=True)
class Kill:
    """One kill -9, and the failpoint at which the process then dies once more, if one is named."""

    process: str
    failpoint: str = ""


@dataclass
class Killer:
    """Goes through kills one by one. `done` tells what died, in order."""

    rig: Rig
    folder: Path
    done: list[str] = field(default_factory=list)

    async def run(self, kills: Sequence[Kill]) -> None:
        """Kill, wait until it is back, and where a failpoint is named until it passed there."""
        for kill in kills:
            await self._kill(kill)

    async def _kill(self, kill: Kill) -> None:
        keeper, stack = self.rig.stack.keeper(kill.process), self.rig.stack
        starts = keeper.starts
        marker = self.folder / f"{kill.failpoint}.passed"
        if kill.failpoint:
            stack.set_env(kill.process, {SETTING: f"{kill.failpoint}:{marker}"})
        stack.kill(kill.process, down_s=DOWN_S)
        self.done.append(kill.process)
        await eventually(lambda: _holds(keeper.starts > starts), 30)
        await stack.wait_ready(60, [kill.process])
        if not kill.failpoint:
            return
        await eventually(lambda: _holds(marker.exists() and keeper.starts > starts + 1), 60)
        self.done.append(kill.failpoint)
        await stack.wait_ready(60, [kill.process])


async def _holds(truth: bool) -> bool:
    return truth
