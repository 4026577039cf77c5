"""Deliveries for the gateway's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from services.runtime.db import Connection
from services.runtime.ids import new_id
from services.webhook import store
from services.webhook.domain import Delivery, Peer, join_headers

TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def a_delivery(
    body: bytes = b"{}",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    target: bytes = b"/runninghub/****",
) -> Delivery:
    """Make a delivery that arrived now."""
    return Delivery(
        delivery_id=new_id(),
        token_hash=b"h" * 32,
        target=target,
        headers=join_headers(headers),
        body=body,
        body_bytes=len(body),
        is_too_large=False,
        received_at=datetime.now(UTC),
        traceparent=TRACEPARENT,
    )


async def keep(conn: Connection, deliveries: Sequence[Delivery]) -> None:
    """Keep deliveries in the inbox, due to both peers."""
    await store.insert_arrivals(conn, deliveries, datetime.now(UTC), 10)
    await store.move_arrivals(conn, [one.delivery_id for one in deliveries], set(Peer))
