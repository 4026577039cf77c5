"""The only code that runs queries on the schema `webhook`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from services.runtime.db import Connection
from services.runtime.sql import load_statements
from services.webhook.domain import Claimed, Delivery, Peer

SCHEMA = "webhook"
MIGRATIONS = Path(__file__).parent / "migrations"
_SQL = load_statements(__file__)


async def insert_deliveries(
    conn: Connection,
    deliveries: Sequence[Delivery],
    held_until: Mapping[Peer, datetime],
    timeout_s: float,
) -> None:
    """Keep deliveries durably, all or none, in one statement. Idempotent.

    `held_until` names every peer that is to hear of them, and when the table tells it at last.
    """
    columns = zip(*deliveries, strict=True)
    peers, due = list(held_until), list(held_until.values())
    await conn.execute(_SQL["insert_deliveries"], *columns, peers, due, timeout=timeout_s)


async def release_all(conn: Connection) -> None:
    """Make due what was held by gateways that ended, and by others, who repeat a little then."""
    await conn.execute(_SQL["release_all"])


async def release_forwards(conn: Connection, peer: Peer, ids: Sequence[uuid.UUID]) -> None:
    """Make due what this gateway held for a peer."""
    await conn.execute(_SQL["release_forwards"], peer.value, ids)


async def delete_told(conn: Connection, ids: Sequence[uuid.UUID]) -> None:
    """Delete deliveries that every peer has acknowledged."""
    await conn.execute(_SQL["delete_told"], ids)


async def claim_deliveries(
    conn: Connection, peer: Peer, now: datetime, most: int, most_bytes: int
) -> list[Claimed]:
    """Lock the oldest deliveries due to a peer until the transaction ends, and return them."""
    rows = await conn.fetch(_SQL["claim_deliveries"], peer.value, now, most, most_bytes)
    return [Claimed(Delivery(*tuple(row)[:-1]), row["refusals"]) for row in rows]


async def delete_acknowledged(conn: Connection, peer: Peer, ids: Sequence[uuid.UUID]) -> int:
    """Mark deliveries as acknowledged by a peer; delete those that both have, and count them."""
    await conn.execute(_SQL["delete_forwards"], peer.value, ids)
    return int(await conn.fetchval(_SQL["delete_finished"], ids))


async def postpone_forward(
    conn: Connection, peer: Peer, delivery_id: uuid.UUID, until: datetime
) -> None:
    """Set a delivery aside that a peer refused."""
    await conn.execute(_SQL["postpone_forward"], peer.value, delivery_id, until)


async def read_backlog(conn: Connection, bound: int) -> Mapping[Peer, int]:
    """Count what waits for each peer, up to a bound."""
    rows = await conn.fetch(_SQL["read_backlog"], bound)
    return {Peer(row["peer"]): row["waiting"] for row in rows}
