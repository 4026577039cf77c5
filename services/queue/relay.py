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
from services.queue.events import stand_in
from services.queue.hint import Hint
from services.queue.pack import RejectedEvent, read_pack, write_pack
from services.queue.store_outbox import TakenPack
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS, transaction
from services.runtime.log import get_log

_log = get_log(__name__)
# The contract's limits are 1,000 events and 3 MiB; one pack alone may have more.
MAX_EVENTS = 1000
MAX_BYTES = 2_500_000
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
# The least rest after a batch that was no full one, so that the next one holds more.
_REST_S = 0.02
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
        self._taking = asyncio.Lock()
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
        """Relay one batch of up to `limit` events, one pack at least; return how many it had."""
        async with transaction(self._pool) as conn:
            # Lanes take and send one after the other, so that a job's events leave in order: two
            # that looked at once would each get some of them. Only the answers are awaited apart.
            async with self._taking:
                packs = await store_outbox.take_packs(conn, limit, MAX_BYTES)
                if not packs:
                    return 0
                sending = asyncio.create_task(self._send(packs), name="relay:send")
            rejected = await sending
            await store_outbox.delete_packs(conn, [pack.id for pack in packs])
            if rejected:
                await store_outbox.keep_rejected_events(conn, rejected, self._clock())
        return sum(pack.events for pack in packs)

    async def _send(self, packs: Sequence[TakenPack]) -> list[RejectedEvent]:
        try:
            answers = await self._stream.send([pack.body for pack in packs])
        except EtapaError as error:
            if error.code not in _REFUSALS:
                raise
            if len(packs) > 1:
                raise _RefusedError(sum(pack.events for pack in packs)) from error
        else:
            return _find(packs, answers) if answers else []
        return await self._send_apart(packs[0])

    async def _send_apart(self, pack: TakenPack) -> list[RejectedEvent]:
        """Send a pack's events one by one, so that only one that is to blame is set aside."""
        rejected = []
        for event in read_pack(pack.body):
            rejected += await self._send_alone(pack, event)
        return rejected

    async def _send_alone(self, pack: TakenPack, event: event_pb2.Event) -> list[RejectedEvent]:
        """Send one event by itself: on the shared stream somebody else's may be what is refused."""
        try:
            answers = await self._stream.send_alone([write_pack([event])])
        except EtapaError as error:
            if error.code not in _REFUSALS:
                raise
            why = f"{error.reason}: {error}"
            _log.exception("event_refused", job_id=event.job_id, seq=event.seq)
            await self._stream.send_alone([write_pack([stand_in(event, why)])])
            return [_rejected(pack, event, why)]
        return _find([pack], answers) if answers else []

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
            # Packs are not divided, and bytes limit a batch as well: half of one may be a full one.
            is_more, limit = count * 2 >= limit, min(limit * 2, MAX_EVENTS)
            if is_more:
                self._wake_next(lane)
                continue
            if count:
                await asyncio.sleep(_REST_S)
            await self._hints[lane].wait(self._poll_s if lane == 0 else 3600)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._hints[0].set()

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
        self.wake()


def _find(
    packs: Sequence[TakenPack], answers: Sequence[intake_pb2.RejectedEvent]
) -> list[RejectedEvent]:
    """Return the events that observability could not store, as they lie in the packs."""
    sent = {(e.job_id, e.seq): (pack, e) for pack in packs for e in read_pack(pack.body)}
    found = []
    for each in answers:
        _log.error("event_rejected", job_id=each.job_id, seq=each.seq, why=each.message)
        if (each.job_id, each.seq) in sent:
            found.append(_rejected(*sent[each.job_id, each.seq], each.message))
    return found


def _rejected(pack: TakenPack, event: event_pb2.Event, why: str) -> RejectedEvent:
    kind = event.WhichOneof("kind") or ""
    return RejectedEvent(pack.job_id, event.seq, kind, str(getattr(event, kind, "")), why)
