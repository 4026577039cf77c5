"""Looks for work that nobody told this process of, by one statement for all its loops.

Loops are woken by the commits of their own process. What others commit, what time brings, and
whatever a lost hint left is found here: so a hint that was lost costs one turn of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.queue import store_reads
from services.queue.store_reads import Sight
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

_log = get_log(__name__)
Wake = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleepers:
    """How to wake each loop."""

    dispatcher: Wake
    reconciler: Wake
    finisher: Wake
    sweeper: Wake
    relay: Wake


class Lookout:
    """Looks every `every_s` and wakes whom it concerns. What it sees may be in hand already."""

    def __init__(self, transitions: Transitions, sleepers: Sleepers, *, every_s: float) -> None:
        self._transitions = transitions
        self._sleepers = sleepers
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled; an error ends one turn only."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except AWAY_ERRORS as error:
                _log.warning("look_failed", error=type(error).__name__)
            except Exception:
                _log.exception("look_broke")

    async def look(self) -> None:
        """Look once, and wake those for whom there may be work."""
        async with self._transitions.pool.acquire() as conn:
            sight = await store_reads.look(conn, self._transitions.clock())
        for wake in _concerned(self._sleepers, sight):
            wake()


def _concerned(sleepers: Sleepers, sight: Sight) -> list[Wake]:
    found = (
        (sight.waiting, sleepers.dispatcher),
        (sight.due_polls, sleepers.reconciler),
        (sight.ended_leases, sleepers.finisher),
        (sight.ended_leases or sight.due_checks or sight.unmatched, sleepers.sweeper),
        (sight.untold, sleepers.relay),
    )
    return [wake for is_concerned, wake in found if is_concerned]
