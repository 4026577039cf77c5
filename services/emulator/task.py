"""A task of the provider: its states and what is known of it. No I/O and no clock."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.emulator.catalog import App
from services.emulator.faults import FaultSpec
from services.emulator.node_info import NodeValue
from services.emulator.reasons import Reason
from services.runtime.errors import ForbiddenTransitionError


class Status(StrEnum):
    """The provider's own words. CANCEL is shown as the settings say."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCEL = "CANCEL"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCEL})
_NEXT = {
    Status.QUEUED: {Status.RUNNING, Status.CANCEL, Status.FAILED},
    Status.RUNNING: FINAL,
}


class TaskTransitionError(ForbiddenTransitionError):
    """The emulator tried to move a task against its state machine: a defect of ours."""

    def __init__(self, task_id: str, old: Status, new: Status) -> None:
        super().__init__(
            f"task {task_id} cannot go from {old} to {new}",
            {"task_id": task_id, "from": old, "to": new},
        )


@dataclass(frozen=True, slots=True)
class Output:
    """One result file: a shared rendering plus this task's stamp, put in at `stamp_at`."""

    token: str
    name: str
    extension: str
    url: str
    path: Path
    stamp: bytes
    stamp_at: int
    sha256: str
    size: int
    expires_at: float

    def read(self) -> bytes:
        """Return the bytes as they are served."""
        base = self.path.read_bytes()
        return base[: self.stamp_at] + self.stamp + base[self.stamp_at :]

    def facts(self) -> dict[str, Any]:
        """Return what the admin API and the journal say of this file."""
        return {
            "url": self.url,
            "sha256": self.sha256,
            "bytes": self.size,
            "token": self.token,
            "name": self.name,
            "render": self.path.name,
            "expires_at": self.expires_at,
        }


@dataclass(slots=True)
class Task:
    """One accepted start. Times are Unix seconds; `cost_s` is in provider seconds."""

    task_id: str
    key: str
    generation: str
    kind: str
    app: App
    values: tuple[NodeValue, ...]
    webhook_url: str
    instance_type: str
    is_personal: bool
    client_id: str
    run_s: float
    queue_s: float
    accepted_at: float
    faults: tuple[FaultSpec, ...] = ()
    prompt_tips: str = ""
    status: Status = Status.QUEUED
    started_at: float | None = None
    ended_at: float | None = None
    reason: Reason | None = None
    outputs: tuple[Output, ...] = ()
    coins: int | None = None
    cost_s: int = 0
    cancel_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_final(self) -> bool:
        """True once nothing changes any more."""
        return self.status in FINAL

    @property
    def error_class(self) -> str:
        """The class a client should find: empty unless the run failed or gave nothing."""
        if self.reason is not None:
            return self.reason.error_class
        return "no_output" if self.status is Status.SUCCESS and not self.outputs else ""

    def fault(self, *actions: str) -> FaultSpec | None:
        """Return the first fault decided for this task that has one of these actions."""
        return next((item for item in self.faults if item.action in actions), None)

    def start(self, now: float) -> None:
        """QUEUED → RUNNING."""
        self._move(Status.RUNNING)
        self.started_at = now
        self._wake()

    def succeed(self, now: float, outputs: tuple[Output, ...], coins: int) -> None:
        """RUNNING → SUCCESS; coins are paid even where there is no output."""
        self._move(Status.SUCCESS)
        self.outputs, self.coins, self.cost_s = outputs, coins, round(self.run_s)
        self._end(now)

    def fail(self, now: float, reason: Reason, cost_s: float) -> None:
        """RUNNING → FAILED. A failed run costs no coins."""
        self._move(Status.FAILED)
        self.reason, self.cost_s = reason, round(cost_s)
        self._end(now)

    def cancel(self, now: float, coins: int, cost_s: float) -> None:
        """QUEUED or RUNNING → CANCEL; what ran until then is paid."""
        self._move(Status.CANCEL)
        self.coins, self.cost_s = coins, round(cost_s)
        self._end(now)

    def progress(self, now: float, scale: float) -> float:
        """Return the share of the run that is over, 0 to 1."""
        if self.started_at is None:
            return 0.0
        if self.is_final:
            return 1.0
        return min((now - self.started_at) / max(self.run_s * scale, 1e-9), 1.0)

    def facts(self) -> dict[str, Any]:
        """Return what the admin API and the journal say of this task."""
        return {
            "task_id": self.task_id,
            "key": self.key,
            "generation": self.generation,
            "kind": self.kind,
            "app": self.app.app_id,
            "instance_type": self.instance_type,
            "status": str(self.status),
            "error_class": self.error_class,
            "webhook_url": self.webhook_url,
            "nodes": [[item.node_id, item.name, item.value] for item in self.values],
            "faults": [item.facts() for item in self.faults],
            "reason": asdict(self.reason) if self.reason is not None else None,
            "outputs": [item.facts() for item in self.outputs],
            "coins": self.coins,
            "cost_s": self.cost_s,
            "is_personal": self.is_personal,
            "client_id": self.client_id,
            "prompt_tips": self.prompt_tips,
            "run_s": self.run_s,
            "queue_s": self.queue_s,
            "accepted_at": self.accepted_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }

    def _move(self, new: Status) -> None:
        if new not in _NEXT.get(self.status, frozenset()):
            raise TaskTransitionError(self.task_id, self.status, new)
        self.status = new

    def _end(self, now: float) -> None:
        self.ended_at = now
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
