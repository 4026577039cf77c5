"""Keeps arrivals durably: concurrent ones by one commit, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from services.runtime.batch import Batcher
from services.runtime.db import AWAY_ERRORS, Connection, Pool
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Delivery
from services.webhook.held import Passage, held_until

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = get_log(__name__)

STATEMENT_BYTES = 8 * 1024 * 1024
TRIES = 2
# While one batch is under way a second one is only worth its commit once so many wait.
ENOUGH = 8


class Inbox:
    """Keeps deliveries, and gives them to `passage` after the commit."""

    def __init__(self, pool: Pool, passage: Passage, *, timeout_s: float) -> None:
        self._lanes = (_Lane(pool, passage, timeout_s), _Lane(pool, passage, timeout_s))

    def keep(self, delivery: Delivery) -> asyncio.Future[None]:
        """Keep a delivery; the future ends once it is committed.

        It ends with `UnavailableError` where that can't be said, within twice the time-out (a
        batch under way, then its own); it may still have been kept, and the sender repeats it.
        """
        first, second = self._lanes
        ahead = first.batcher.waiting
        lane = first if ahead < ENOUGH or ahead <= second.batcher.waiting else second
        return lane.batcher.put(delivery)

    async def close(self) -> None:
        """Finish what is under way and give the connections back."""
        for lane in self._lanes:
            await lane.close()


class _Lane:
    """One connection and the batches that go over it, one at a time."""

    def __init__(self, pool: Pool, passage: Passage, timeout_s: float) -> None:
        self._pool = pool
        self._passage = passage
        self._timeout_s = timeout_s
        self._held: PoolConnectionProxy[asyncpg.Record] | None = None
        self.batcher = Batcher[Delivery, None](self._run, name="inbox", max_size=256)

    async def close(self) -> None:
        """Finish what is under way and give the connection back."""
        await self.batcher.drain()
        held, self._held = self._held, None
        if held is not None and not _is_broken(held):
            await self._pool.release(held, timeout=self._timeout_s)

    async def _run(self, deliveries: Sequence[Delivery]) -> Sequence[None]:
        await self._keep(deliveries)
        return [None] * len(deliveries)

    async def _keep(self, deliveries: Sequence[Delivery]) -> None:
        # While the database hangs, every batch takes its time-out; who has waited that long
        # already must not wait for another.
        oldest = datetime.now(UTC) - timedelta(seconds=self._timeout_s)
        if deliveries[0].received_at < oldest:
            raise TimeoutError
        holders = self._passage.open_now()
        until = held_until(holders)
        for part in _parts(deliveries):
            await self._insert(part, until)
        log.debug("callbacks_kept", count=len(deliveries), first=str(deliveries[0].delivery_id))
        failpoint("callback_stored")
        self._passage.hold(deliveries, holders)

    async def _insert(self, deliveries: Sequence[Delivery], until: datetime) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                conn = await self._connection()
                await store.insert_arrivals(conn, deliveries, until, self._timeout_s)
            except AWAY_ERRORS as error:
                log.warning("inbox_unreachable", count=len(deliveries), error=repr(error))
                await self._drop()
                # A connection that broke while it idled says nothing about the server of now.
                if attempt == TRIES or isinstance(error, TimeoutError):
                    raise
            else:
                return

    async def _connection(self) -> Connection:
        if self._held is not None and _is_broken(self._held):
            await self._drop()
        if self._held is None:
            self._held = await self._pool.acquire(timeout=self._timeout_s)
        return self._held

    async def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            # Never reset over the wire: that would wait for a server that hangs.
            with suppress(asyncpg.InterfaceError):
                held.terminate()
            await self._pool.release(held)


def _is_broken(held: PoolConnectionProxy[asyncpg.Record]) -> bool:
    try:
        return held.is_closed()
    except asyncpg.InterfaceError:
        # The pool takes a connection back that the server closed, and the proxy refuses work.
        return True


def _parts(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Cut a batch so that no statement carries too many bytes.

    Should a later part fail, its whole batch is answered 503 and the senders repeat it: kept
    twice, lost never.
    """
    part: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if part and size + delivery.size_bytes > STATEMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(delivery)
        size += delivery.size_bytes
    if part:
        yield part
