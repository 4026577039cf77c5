"""Passes kept deliveries on to one peer, in batches, until it acknowledges them.

One loop a peer, each independent of the other. What this process has just kept is sent from
memory; what is left (its peer was away or refused it, its gateway was killed) is found in the
inbox. There deliveries are locked, not leased, while they are under way: several gateways share
the work. The peers know deliveries by their id, so sending one twice is harmless.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from services.runtime.backoff import backoff_s
from services.runtime.db import AWAY_ERRORS, Connection, Pool, transaction
from services.runtime.errors import UnavailableError
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Claimed, Delivery, Peer, pause_s
from services.webhook.held import Held
from services.webhook.offer import Send, Verdict, offer

log = get_log(__name__)

BATCH = 250
BATCH_BYTES = 5 * 1024 * 1024 // 2
# What waits in memory for one peer; beyond it, callbacks wait in the tables alone.
MOST_HELD = 2_000
MOST_HELD_BYTES = 16 * 1024 * 1024
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
# Half an hour of them: a peer that was long away may refuse a few before it is itself again.
LEAST_REFUSALS = 30
# The least rest after a batch, so that under load the next one holds more: an RPC costs much the
# same, whatever its size. The first of a rush never waits.
# The queue is waited for by people; the bytes are for whoever looks into a job.
REST_S = {Peer.QUEUE: 0.02, Peer.OBSERVABILITY: 0.1}


class Forwarder:
    """The loop of one peer. `send` returns once the peer has acknowledged all it was given.

    What the peer still refuses `give_up_s` after its arrival is given up; by None never.
    """

    def __init__(
        self, pool: Pool, peer: Peer, send: Send, *, poll_s: float, give_up_s: float | None = None
    ) -> None:
        self._pool = pool
        self.peer = peer
        self._send = send
        self._poll_s = poll_s
        self._give_up = timedelta(seconds=give_up_s) if give_up_s is not None else None
        self._new = asyncio.Event()
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._must_look = True
        # In a row, of whole turns. None before the first turn: nothing is known of the peer yet.
        self._failures: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it takes more into memory: its peer is there and keeps up."""
        return (
            self._failures == 0
            and len(self._held) < MOST_HELD
            and self._held_bytes < MOST_HELD_BYTES
        )

    def take(self, held: Sequence[Held]) -> None:
        """Pass on from memory what has just been kept."""
        self._held.extend(held)
        self._held_bytes += sum(one.delivery.size_bytes for one in held)
        if self._failures:
            self.let_go()  # its peer went away in the meantime
        self._new.set()

    def look(self) -> None:
        """Hint that the tables have something new. A lost hint costs one poll interval."""
        self._must_look = True
        self._new.set()

    async def run(self) -> None:
        """Forward until cancelled; whatever fails is logged and tried again."""
        while True:
            self._new.clear()
            has_worked = False
            failures = self._failures or 0
            try:
                has_worked = await self._step()
                self._failures = 0
            except AWAY_ERRORS as error:
                self._failures = failures + 1
                self._log_trouble("database_away", error)
            except UnavailableError as error:
                self._failures = failures + 1
                self._log_trouble("peer_away", error)
            except Exception:
                self._failures = failures + 1
                log.exception("forwarding_failed", peer=self.peer.value, failures=self._failures)
            _raise_if_cancelled()
            if self._failures:
                self.let_go()
                await asyncio.sleep(backoff_s(self._failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S))
            elif has_worked:
                await asyncio.sleep(REST_S[self.peer])
            else:
                await self._wait()

    def let_go(self) -> None:
        """Leave to the inbox what is in memory."""
        for one in list(self._held):
            self._end(one, is_told=False)

    async def turn(self, most: int = BATCH) -> bool:
        """Forward a batch from the inbox, of at most so many; say if more may be due.

        Raises what stopped it.
        """
        async with self._pool.acquire() as conn:
            await store.move_due(conn, datetime.now(UTC), most)
        async with transaction(self._pool) as conn:
            claimed = await store.claim_deliveries(
                conn, self.peer, datetime.now(UTC), most, BATCH_BYTES
            )
            if not claimed:
                return False
            verdict = await offer(self._send, [one.delivery for one in claimed])
            await self._settle(conn, verdict, claimed)
        verdict.raise_if_away()
        return bool(verdict.acknowledged)

    async def _step(self) -> bool:
        """Take one turn over the inbox where that is due, and one over memory; say if any worked.

        Memory does not wait for an inbox that is full: who has just called waits for an answer.
        """
        has_worked = False
        if self._must_look:
            self._must_look = False
            try:
                # One delivery asks whether a peer that was away is back; a whole batch would be
                # read and turned into messages for nothing, at the cost of those who call.
                has_worked = await self.turn(1 if self._failures else BATCH)
            except BaseException:
                self._must_look = True
                raise
            self._must_look |= has_worked
        if self._held:
            await self._pass_on(self._next_batch())
            has_worked = True
        return has_worked

    def _next_batch(self) -> list[Held]:
        batch: list[Held] = []
        size = 0
        for one in islice(self._held, BATCH):
            size += one.delivery.size_bytes
            if batch and size > BATCH_BYTES:
                break
            batch.append(one)
        return batch

    async def _pass_on(self, batch: Sequence[Held]) -> None:
        """Send a batch from memory; what is not tried stays there, for `let_go`.

        What is refused is offered again from the inbox, which counts refusals.
        """
        verdict = await offer(self._send, [one.delivery for one in batch])
        refused = {delivery.delivery_id for delivery, _ in verdict.refused}
        for one in batch[: len(verdict.acknowledged) + len(refused)]:
            self._end(one, is_told=one.delivery.delivery_id not in refused)
        self._log_forwarded(verdict)
        verdict.raise_if_away()

    def _end(self, one: Held, *, is_told: bool) -> None:
        # They leave in the order in which they came.
        self._held.popleft()
        self._held_bytes -= one.delivery.size_bytes
        one.end(self.peer, is_told=is_told)

    async def _settle(self, conn: Connection, verdict: Verdict, claimed: Sequence[Claimed]) -> None:
        await self._set_aside(conn, verdict, claimed)
        if not verdict.acknowledged:
            return
        ids = [one.delivery_id for one in verdict.acknowledged]
        if await store.delete_acknowledged(conn, self.peer, ids):
            # Both peers have acknowledged, and nothing of it is committed yet.
            failpoint("forwarded_not_deleted")
        self._log_forwarded(verdict)

    async def _set_aside(
        self, conn: Connection, verdict: Verdict, claimed: Sequence[Claimed]
    ) -> None:
        now = datetime.now(UTC)
        given_up: list[uuid.UUID] = []
        earlier = {one.delivery.delivery_id: one.refusals for one in claimed}
        for delivery, error in verdict.refused:
            refusals = earlier[delivery.delivery_id]
            self._log_refusal(delivery, refusals, error)
            if self._is_hopeless(delivery, refusals, now):
                given_up.append(delivery.delivery_id)
                continue
            until = now + timedelta(seconds=pause_s(refusals + 1))
            await store.postpone_forward(conn, self.peer, delivery.delivery_id, until)
        if given_up:
            await store.delete_acknowledged(conn, self.peer, given_up)
            log.error("callbacks_given_up", peer=self.peer.value, ids=list(map(str, given_up)))

    def _is_hopeless(self, delivery: Delivery, refusals: int, now: datetime) -> bool:
        if self._give_up is None or refusals < LEAST_REFUSALS:
            return False
        return delivery.received_at < now - self._give_up

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s * random.uniform(0.8, 1.2)):  # noqa: S311
                await self._new.wait()
        except TimeoutError:
            self._must_look = True

    def _log_forwarded(self, verdict: Verdict) -> None:
        if verdict.acknowledged:
            log.debug(
                "callbacks_forwarded",
                peer=self.peer.value,
                count=len(verdict.acknowledged),
                first=str(verdict.acknowledged[0].delivery_id),
            )

    def _log_trouble(self, action: str, error: BaseException) -> None:
        # The first of a row is news; a peer that stays away must not fill the log.
        if self._failures == 1 or (self._failures or 0) % 30 == 0:
            log.warning(action, peer=self.peer.value, error=str(error), failures=self._failures)

    def _log_refusal(self, delivery: Delivery, refusals: int, error: Exception) -> None:
        log.error(
            "callback_set_aside",
            peer=self.peer.value,
            delivery_id=str(delivery.delivery_id),
            refusals=refusals + 1,
            error=repr(error),
        )


def _raise_if_cancelled() -> None:
    """Let no error from below hide a cancellation.

    asyncpg's `Transaction.__aexit__` raises its own where the connection is closed already.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
