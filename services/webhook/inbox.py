"""Keeps arrivals durably: concurrent ones by one commit, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.runtime.batch import Batcher
from services.runtime.db import AWAY_ERRORS, Connection, Pool
from services.runtime.errors import UnavailableError
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Delivery

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

log = get_log(__name__)

STATEMENT_BYTES = 8 * 1024 * 1024
TRIES = 2


@dataclass(slots=True)
class _Arrival:
    """A delivery with somebody waiting for its 200, or gone."""

    delivery: Delivery
    is_given_up: bool = False


class Inbox:
    """Keeps deliveries. `on_kept` is called after each commit."""

    def __init__(self, pool: Pool, *, timeout_s: float, on_kept: Callable[[], None]) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._on_kept = on_kept
        self._held: PoolConnectionProxy[asyncpg.Record] | None = None
        self._batcher = Batcher[_Arrival, None](self._run, name="inbox", max_size=256)

    async def keep(self, delivery: Delivery) -> None:
        """Return once the delivery is committed.

        Raises `UnavailableError` within the time-out where that can't be said; the delivery
        may still have been kept, and the sender repeats it.
        """
        arrival = _Arrival(delivery)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._batcher.submit(arrival)
        except TimeoutError as error:
            raise UnavailableError("the database did not answer in time") from error
        finally:
            arrival.is_given_up = True

    async def close(self) -> None:
        """Finish what is under way and give the connection back."""
        await self._batcher.drain()
        held, self._held = self._held, None
        if held is not None:
            await self._pool.release(held, timeout=self._timeout_s)

    async def _run(self, arrivals: Sequence[_Arrival]) -> Sequence[None]:
        # While the database hangs, those who were answered 503 leave nothing behind to write.
        wanted = [arrival.delivery for arrival in arrivals if not arrival.is_given_up]
        for part in _parts(wanted):
            await self._insert(part)
        if wanted:
            log.info("callbacks_kept", count=len(wanted), first=str(wanted[0].delivery_id))
            failpoint("callback_stored")
            self._on_kept()
        return [None] * len(arrivals)

    async def _insert(self, deliveries: Sequence[Delivery]) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                conn = await self._connection()
                await store.insert_deliveries(conn, deliveries, self._timeout_s)
            except AWAY_ERRORS as error:
                await self._drop()
                # A connection that broke while it idled says nothing about the server of now.
                if attempt == TRIES or isinstance(error, TimeoutError):
                    raise
            else:
                return

    async def _connection(self) -> Connection:
        if self._held is not None and self._held.is_closed():
            await self._drop()
        if self._held is None:
            self._held = await self._pool.acquire(timeout=self._timeout_s)
        return self._held

    async def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            # Never reset over the wire: that would wait for a server that hangs.
            held.terminate()
            await self._pool.release(held)


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
