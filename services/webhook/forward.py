"""Passes kept deliveries on to one peer, in batches, until it acknowledges them.

One loop a peer, each independent of the other. Deliveries are locked, not leased, while they
are under way: several gateways share the work, and whatever a crash leaves is simply still due.
The peers know deliveries by their id, so sending one twice is harmless.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc

from etapa_client.errors import EtapaError as RemoteError
from services.runtime.backoff import backoff_s
from services.runtime.db import AWAY_ERRORS, Connection, Pool, transaction
from services.runtime.errors import UnavailableError
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Claimed, Delivery, Peer, pause_s

log = get_log(__name__)

BATCH = 250
BATCH_BYTES = 5 * 1024 * 1024 // 2
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
# Half an hour of them: a peer that was long away may refuse a few before it is itself again.
LEAST_REFUSALS = 30
# The least rest after a batch, so that under load the next one holds more: a batch costs six
# round trips to the database and an RPC, whatever its size. The first of a rush never waits.
# The queue is waited for by people; the bytes are for whoever looks into a job.
REST_S = {Peer.QUEUE: 0.02, Peer.OBSERVABILITY: 0.1}

Send = Callable[[Sequence[Delivery]], Awaitable[None]]

# What these say is about the peer, not about what was sent to it.
_PEER_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(slots=True)
class _Verdict:
    """What a peer made of a batch; what is in neither list was not tried."""

    acknowledged: list[uuid.UUID] = field(default_factory=list)
    refused: list[Claimed] = field(default_factory=list)
    away: Exception | None = None


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

    def wake(self) -> None:
        """Hint that something new was kept. A lost hint costs one poll interval."""
        self._new.set()

    async def run(self) -> None:
        """Forward until cancelled; whatever fails is logged and tried again."""
        failures = 0
        while True:
            self._new.clear()
            try:
                # One delivery asks whether a peer that was away is back; a whole batch would be
                # read and turned into messages for nothing, at the cost of those who call.
                is_more_due = await self.turn(BATCH if not failures else 1)
                failures = 0
            except AWAY_ERRORS as error:
                failures += 1
                self._log_trouble("database_away", error, failures)
            except UnavailableError as error:
                failures += 1
                self._log_trouble("peer_away", error, failures)
            except Exception:
                failures += 1
                log.exception("forwarding_failed", peer=self.peer.value, failures=failures)
            _raise_if_cancelled()
            if failures:
                await asyncio.sleep(backoff_s(failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S))
            elif is_more_due:
                await asyncio.sleep(REST_S[self.peer])
            else:
                await self._wait()

    async def turn(self, most: int = BATCH) -> bool:
        """Forward a batch of at most so many; say if more may be due. Raises what stopped it."""
        async with transaction(self._pool) as conn:
            claimed = await store.claim_deliveries(
                conn, self.peer, datetime.now(UTC), most, BATCH_BYTES
            )
            if not claimed:
                return False
            verdict = await self._offer(claimed)
            await self._settle(conn, verdict)
        if verdict.away is not None:
            raise UnavailableError(f"not forwarded: {verdict.away}") from verdict.away
        return bool(verdict.acknowledged)

    async def _offer(self, claimed: Sequence[Claimed]) -> _Verdict:
        """Send a batch; halve what is refused until the culprits stand alone."""
        verdict = _Verdict()
        parts = [claimed]
        while parts:
            part = parts.pop()
            try:
                await self._send([one.delivery for one in part])
            except Exception as error:
                if _is_away(error):
                    verdict.away = error
                    break
                if len(part) > 1:
                    half = len(part) // 2
                    parts += [part[half:], part[:half]]
                else:
                    verdict.refused += part
                    self._log_refusal(part[0], error)
            else:
                verdict.acknowledged += [one.delivery.delivery_id for one in part]
        return verdict

    async def _settle(self, conn: Connection, verdict: _Verdict) -> None:
        await self._set_aside(conn, verdict.refused, datetime.now(UTC))
        if not verdict.acknowledged:
            return
        finished = await store.delete_acknowledged(conn, self.peer, verdict.acknowledged)
        if finished:
            # Both peers have acknowledged, and nothing of it is committed yet.
            failpoint("forwarded_not_deleted")
        log.debug(
            "callbacks_forwarded",
            peer=self.peer.value,
            count=len(verdict.acknowledged),
            first=str(verdict.acknowledged[0]),
            finished=finished,
        )

    async def _set_aside(self, conn: Connection, refused: Sequence[Claimed], now: datetime) -> None:
        given_up: list[uuid.UUID] = []
        for one in refused:
            if self._is_hopeless(one, now):
                given_up.append(one.delivery.delivery_id)
                continue
            until = now + timedelta(seconds=pause_s(one.refusals + 1))
            await store.postpone_forward(conn, self.peer, one.delivery.delivery_id, until)
        if given_up:
            await store.delete_acknowledged(conn, self.peer, given_up)
            log.error("callbacks_given_up", peer=self.peer.value, ids=list(map(str, given_up)))

    def _is_hopeless(self, one: Claimed, now: datetime) -> bool:
        if self._give_up is None or one.refusals < LEAST_REFUSALS:
            return False
        return one.delivery.received_at < now - self._give_up

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s * random.uniform(0.8, 1.2)):  # noqa: S311
                await self._new.wait()
        except TimeoutError:
            return

    def _log_trouble(self, action: str, error: BaseException, failures: int) -> None:
        # The first of a row is news; a peer that stays away must not fill the log.
        if failures == 1 or failures % 30 == 0:
            log.warning(action, peer=self.peer.value, error=str(error), failures=failures)

    def _log_refusal(self, one: Claimed, error: Exception) -> None:
        log.error(
            "callback_set_aside",
            peer=self.peer.value,
            delivery_id=str(one.delivery.delivery_id),
            refusals=one.refusals + 1,
            error=repr(error),
        )


def _is_away(error: Exception) -> bool:
    if isinstance(error, RemoteError):
        return error.code in _PEER_AWAY
    # A full disk under the blob store is no fault of the delivery either.
    return isinstance(error, UnavailableError | OSError)


def _raise_if_cancelled() -> None:
    """Let no error from below hide a cancellation.

    asyncpg's `Transaction.__aexit__` raises its own where the connection is closed already.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
