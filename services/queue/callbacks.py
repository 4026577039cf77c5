"""Books callbacks that the gateway stored: each once, in the commit that makes a query due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.queue import store
from services.queue.command import SeeCallback
from services.queue.transitions import Transitions
from services.runtime.batch import Batcher


@dataclass(frozen=True, slots=True)
class ReportedCallback:
    """What the gateway says of one callback. Its body is a hint, so only hints are taken."""

    delivery_id: UUID
    token_sha256: bytes
    body_sha256: bytes
    received_at: datetime
    event: str
    task_id: str
    task_status: str
    has_output: bool
    traceparent: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whose callback it was; `job_id` is None where nobody knows the token."""

    delivery_id: UUID
    job_id: UUID | None
    attempt: int


class Callbacks:
    """Takes reports of callbacks, group-committed."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions
        self._batcher: Batcher[Sequence[ReportedCallback], list[Receipt]] = Batcher(
            self._run, name="callbacks", max_size=50
        )

    async def report(self, callbacks: Sequence[ReportedCallback]) -> list[Receipt]:
        """Book callbacks; return a receipt for each, in order. Idempotent by delivery id."""
        return await self._batcher.submit(callbacks) if callbacks else []

    async def match_late(self, limit: int = 100) -> int:
        """Give callbacks with an unknown token to the attempt whose task they name."""
        async with self._transitions.batch(limit) as batch:
            matched = await store.match_callbacks(batch.conn, limit)
            commands = [
                _see(row, row["job_id"], row["attempt"], is_repeat=False) for row in matched
            ]
            if commands:
                await batch.apply(commands)
        return len(matched)

    async def _run(
        self, reports: Sequence[Sequence[ReportedCallback]]
    ) -> list[list[Receipt] | Exception]:
        callbacks = list({cb.delivery_id: cb for report in reports for cb in report}.values())
        async with self._transitions.batch(len(callbacks)) as batch:
            rows = await store.insert_callbacks(batch.conn, _columns(callbacks))
            booked = {row["delivery_id"]: row for row in rows}
            commands = _new_ones(callbacks, booked)
            if commands:
                await batch.apply(commands)
        return [[_receipt(booked[cb.delivery_id]) for cb in report] for report in reports]


def _new_ones(
    callbacks: Sequence[ReportedCallback], booked: Mapping[UUID, Mapping[str, Any]]
) -> list[SeeCallback]:
    commands = []
    seen: set[tuple[UUID, int, bytes]] = set()
    for cb in callbacks:
        row = booked[cb.delivery_id]
        if row["job_id"] is None or not row["is_new"]:
            continue
        same = (row["job_id"], row["number"], cb.body_sha256)
        is_repeat = row["is_repeat"] or same in seen
        seen.add(same)
        fields = {name: getattr(cb, name) for name in _HINTS}
        commands.append(_see(fields, row["job_id"], row["number"], is_repeat=is_repeat))
    return commands


_HINTS = ("delivery_id", "received_at", "event", "task_id", "task_status", "traceparent")


def _see(fields: Mapping[str, Any], job_id: UUID, attempt: int, *, is_repeat: bool) -> SeeCallback:
    hints = {name: fields[name] for name in _HINTS}
    return SeeCallback(job_id=job_id, attempt=attempt, is_repeat=is_repeat, **hints)


def _columns(callbacks: Sequence[ReportedCallback]) -> list[list[Any]]:
    return [
        [cb.delivery_id for cb in callbacks],
        [cb.token_sha256 for cb in callbacks],
        [cb.body_sha256 for cb in callbacks],
        [cb.received_at for cb in callbacks],
        [cb.event for cb in callbacks],
        [cb.task_id for cb in callbacks],
        [cb.task_status for cb in callbacks],
        [cb.has_output for cb in callbacks],
        [cb.traceparent for cb in callbacks],
    ]


def _receipt(row: Mapping[str, Any]) -> Receipt:
    return Receipt(row["delivery_id"], row["job_id"], row["number"] or 0)
