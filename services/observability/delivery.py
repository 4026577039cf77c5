"""Takes callbacks in from the gateway and matches them with the jobs that they belong to.

The gateway's bytes and the job's event may come in either order; whoever comes second moves the
bytes to the job's payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.observability.body import Kept, keep, move_if_large
from services.observability.domain import Event
from services.observability.json_copy import copy_of
from services.observability.store import write
from services.observability.store.row import Delivery, NewPayload
from services.observability.wire_intake import IncomingDelivery
from services.runtime.batch import Batcher
from services.runtime.blobs import BlobStore
from services.runtime.db import Connection, Pool, transaction

BATCH_REQUESTS = 8
FORGET_BATCH = 200
_AWAITED = Kept("awaited")


class DeliveryIntake:
    """Stores callbacks, idempotent by delivery id. `now` gives the time of arrival."""

    def __init__(self, pool: Pool, blobs: BlobStore, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._blobs = blobs
        self._now = now
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
        async with transaction(self._pool) as conn:
            known = {each.delivery_id: each for each in await write.read_deliveries(conn, unique)}
            new = [_unmatched(each) for each in unique.values() if each.delivery_id not in known]
            if new:
                await write.insert_deliveries(conn, new, self._now())
            awaited = [
                (unique[each.delivery_id], each.job_id)
                for each in known.values()
                if each.state == "awaited" and each.job_id is not None
            ]
            if awaited:
                await _move_awaited(conn, awaited)
        return [None] * len(requests)


async def match_callbacks(conn: Connection, events: Mapping[UUID, Event]) -> list[NewPayload]:
    """Return the payloads of events that name a callback, by delivery id; take the bytes along.

    A callback that the gateway has not told of yet becomes an awaited payload.
    """
    if not events:
        return []
    known = {each.delivery_id: each for each in await write.read_deliveries(conn, events)}
    payloads = [_payload_of(event, each, known.get(each)) for each, event in events.items()]
    here = [
        (each.delivery_id, events[each.delivery_id].job_id)
        for each in known.values()
        if each.state == "unmatched"
    ]
    if here:
        await write.settle_deliveries(conn, here)
    missing = [
        Delivery(each, "awaited", event.job_id)
        for each, event in events.items()
        if each not in known
    ]
    if missing:
        first = min(event.occurred_at for event in events.values())
        await write.insert_deliveries(conn, missing, first)
    return payloads


async def forget_unmatched(pool: Pool, before: datetime, batch: int = FORGET_BATCH) -> int:
    """Forget what was received before and found no job; return how much.

    What came above 64 KiB stays in the blob store, where other payloads may have the same bytes.
    """
    total = 0
    while True:
        async with transaction(pool) as conn:
            count = await write.prune_unmatched(conn, before, batch)
        total += count
        if count < batch:
            return total


def _unmatched(incoming: IncomingDelivery) -> Delivery:
    return Delivery(
        incoming.delivery_id,
        "unmatched",
        kept=keep(incoming.body),
        info=incoming.info,
        raw_webhook_payload=copy_of(incoming.body, incoming.delivery_id),
    )


async def _move_awaited(conn: Connection, awaited: Sequence[tuple[IncomingDelivery, UUID]]) -> None:
    await write.fill_payloads(
        conn,
        [
            NewPayload(
                job_id,
                incoming.delivery_id,
                0,
                keep(incoming.body),
                incoming.info,
                raw_webhook_payload=copy_of(incoming.body, incoming.delivery_id),
            )
            for incoming, job_id in awaited
        ],
    )
    await write.settle_deliveries(
        conn, [(incoming.delivery_id, job_id) for incoming, job_id in awaited]
    )


def _payload_of(event: Event, delivery_id: UUID, delivery: Delivery | None) -> NewPayload:
    if delivery is None or delivery.kept is None:
        return NewPayload(event.job_id, delivery_id, event.seq, _AWAITED)
    return NewPayload(
        event.job_id,
        delivery_id,
        event.seq,
        delivery.kept,
        delivery.info,
        raw_webhook_payload=delivery.raw_webhook_payload,
    )
