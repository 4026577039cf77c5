"""Carries the outbox to observability: what happened, in order, deleted once acknowledged.

Any number of processes may: each takes rows that nobody else has in hand. A repeat is harmless
over there, so nothing is deleted before it is acknowledged.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime

import grpc

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa_client.errors import EtapaError
from services.queue import store_outbox
from services.queue.domain import Change
from services.queue.event_stream import EventStream
from services.queue.events import stand_in, to_proto
from services.queue.store_outbox import OutboxEvent
from services.queue.transitions import Hint, Transitions
from services.runtime.db import AWAY_ERRORS, transaction
from services.runtime.log import get_log

_log = get_log(__name__)
# The contract's limits are 1,000 events and 3 MiB; what is around body and content needs room.
MAX_EVENTS = 1000
MAX_BYTES = 2_500_000
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_AWAY: tuple[type[BaseException], ...] = (EtapaError, *AWAY_ERRORS)
# Answers that the same batch would get again.
_REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)


class _RefusedError(Exception):
    """A batch, or another one on its stream, was refused for what is in it."""

    def __init__(self, events: int) -> None:
        super().__init__(f"a batch of {events} events was refused")
        self.events = events


class Relay:
    """Relays in `lanes` that work side by side over one stream while there is much to do."""

    def __init__(
        self,
        transitions: Transitions,
        stream: EventStream,
        *,
        lanes: int = 3,
        poll_s: float = 1.0,
    ) -> None:
        self._pool = transitions.pool
        self._clock: Callable[[], datetime] = transitions.clock
        self._stream = stream
        self._poll_s = poll_s
        self._hints = [Hint() for _ in range(lanes)]
        self._failures = 0
        transitions.listen(self._on_changes)

    async def run(self) -> None:
        """Relay until cancelled. What is under way then is sent again by whoever comes next."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in range(len(self._hints)):
                    lanes.create_task(self._run_lane(lane), name=f"relay:{lane}")
        finally:
            await self._stream.close()

    async def relay_batch(self, limit: int = MAX_EVENTS) -> int:
        """Relay one batch; return how many events it had."""
        async with transaction(self._pool) as conn:
            taken = await store_outbox.take_events(conn, limit, MAX_BYTES)
            if not taken:
                return 0
            # Taken in order, sent in order: no await lies between here and the stream's queue.
            messages, unreadable = _convert(taken)
            rejected = [*unreadable, *await self._send(taken, messages)]
            ids = [event.id for event in taken]
            await store_outbox.delete_events(conn, ids, rejected, self._clock())
        return len(taken)

    async def _send(
        self, taken: Sequence[OutboxEvent], messages: Sequence[event_pb2.Event]
    ) -> list[tuple[int, str]]:
        try:
            return _find(taken, await self._stream.send(messages))
        except EtapaError as error:
            if error.code not in _REFUSALS:
                raise
            if len(taken) > 1:
                raise _RefusedError(len(taken)) from error
        return await self._send_alone(taken[0], messages)

    async def _send_alone(
        self, event: OutboxEvent, messages: Sequence[event_pb2.Event]
    ) -> list[tuple[int, str]]:
        """Send one event by itself: on the shared stream somebody else's may be what is refused."""
        try:
            return _find([event], await self._stream.send_alone(messages))
        except EtapaError as error:
            if error.code not in _REFUSALS:
                raise
            why = f"{error.reason}: {error}"
            _log.exception("event_refused", job_id=str(event.job_id), seq=event.seq)
            await self._stream.send_alone([stand_in(event, why)])
            return [(event.id, why)]

    async def _run_lane(self, lane: int) -> None:
        limit = MAX_EVENTS
        while True:
            try:
                count = await self.relay_batch(limit)
            except _RefusedError as error:
                # One of its events is to blame: found by halves, and only it is set aside.
                _log.warning("batch_refused", events=error.events, cause=str(error.__cause__))
                limit = max(error.events // 2, 1)
                continue
            except _AWAY as error:
                self._note_failure(error)
                await asyncio.sleep(self._pause_s())
                continue
            except Exception:
                _log.exception("relay_broke")
                self._failures += 1
                await asyncio.sleep(self._pause_s())
                continue
            self._note_success()
            is_full, limit = count >= limit, min(limit * 2, MAX_EVENTS)
            if is_full:
                self._wake_next(lane)
            else:
                await self._hints[lane].wait(self._poll_s if lane == 0 else 3600)

    def _wake_next(self, lane: int) -> None:
        if lane + 1 < len(self._hints):
            self._hints[lane + 1].set()

    def _pause_s(self) -> float:
        ceiling: float = min(_FIRST_PAUSE_S * 2 ** min(self._failures, 10), _LONGEST_PAUSE_S)
        return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret

    def _note_failure(self, error: BaseException) -> None:
        if not self._failures:
            _log.warning("relay_paused", cause=str(error), error=type(error).__name__)
        self._failures += 1

    def _note_success(self) -> None:
        if self._failures:
            _log.info("relay_resumed", failures=self._failures)
        self._failures = 0

    def _on_changes(self, _changes: Sequence[Change]) -> None:
        self._hints[0].set()


def _convert(
    taken: Sequence[OutboxEvent],
) -> tuple[list[event_pb2.Event], list[tuple[int, str]]]:
    """Return all events as messages, and (outbox id, why) of those that a note stands for."""
    messages, unreadable = [], []
    for event in taken:
        try:
            messages.append(to_proto(event))
        except (ValueError, KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
            _log.exception("event_unreadable", job_id=str(event.job_id), seq=event.seq)
            messages.append(stand_in(event, why))
            unreadable.append((event.id, why))
    return messages, unreadable


def _find(
    taken: Sequence[OutboxEvent], rejected: Sequence[intake_pb2.RejectedEvent]
) -> list[tuple[int, str]]:
    if not rejected:
        return []
    by_key = {(str(event.job_id), event.seq): event.id for event in taken}
    found = []
    for each in rejected:
        _log.error("event_rejected", job_id=each.job_id, seq=each.seq, why=each.message)
        outbox_id = by_key.get((each.job_id, each.seq))
        if outbox_id is not None:
            found.append((outbox_id, each.message))
    return found
