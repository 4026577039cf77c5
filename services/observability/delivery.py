"""Takes callbacks in from the gateway, and forgets those that no job ever claims.

The job's event names a callback by its id, so either may come first: reads put the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from services.observability.body import keep, move_if_large
from services.observability.frame import Dictionary, pack
from services.observability.store import write
from services.observability.store.dictionary import Dictionaries
from services.observability.store.read import lowest_id
from services.observability.store.row import Delivery
from services.observability.wire_intake import IncomingDelivery
from services.runtime.batch import Batcher
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool, transaction

BATCH_REQUESTS = 8
FORGET_BATCH = 1000


class DeliveryIntake:
    """Stores callbacks, idempotent by delivery id. `now` gives the time of arrival."""

    def __init__(self, pool: Pool, blobs: BlobStore, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._blobs = blobs
        self._now = now
        self._dictionaries = Dictionaries()
        self._batcher = Batcher[Sequence[IncomingDelivery], None](
            self._store, name="record_deliveries", max_size=BATCH_REQUESTS
        )

    async def record(self, deliveries: Sequence[IncomingDelivery]) -> None:
        """Store callbacks durably. Raises `UnavailableError` while the database is away."""
        for each in deliveries:
            each.body = await move_if_large(each.body, self._blobs)
        if deliveries:
            await self._batcher.submit(deliveries)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._batcher.drain()

    async def _store(self, requests: Sequence[Sequence[IncomingDelivery]]) -> list[None]:
        unique = {each.delivery_id: each for request in requests for each in request}
        now = self._now()
        # One statement, which is a transaction by itself.
        async with self._pool.acquire() as conn:
            dictionary = await self._dictionaries.newest(conn)
            rows = [_row_of(each, now, dictionary) for each in unique.values()]
            await write.insert_deliveries(conn, rows)
        return [None] * len(requests)


async def forget_unmatched(pool: Pool, before: datetime, batch: int = FORGET_BATCH) -> int:
    """Forget what was received before and is claimed by no job; return how much.

    Each callback is looked at once, in the order of their ids, which is time. What came above
    64 KiB stays in the blob store, where other payloads may have the same bytes.
    """
    total = 0
    while True:
        async with transaction(pool) as conn:
            looked_at, gone = await write.forget_unmatched(conn, lowest_id(before), batch)
        total += gone
        if looked_at < batch:
            return total


def _row_of(incoming: IncomingDelivery, now: datetime, dictionary: Dictionary) -> Delivery:
    kept = keep(incoming.body, dictionary)
    return Delivery(incoming.delivery_id, now, *kept, pack(incoming.info, dictionary))
