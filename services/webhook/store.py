"""The only code that runs queries on the schema `webhook`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import asyncpg

from services.runtime.db import Connection
from services.runtime.sql import load_statements
from services.webhook.domain import Claimed, Delivery, Peer

SCHEMA = "webhook"
MIGRATIONS = Path(__file__).parent / "migrations"
_SQL = load_statements(__file__)


_ARRIVAL_COLUMNS = (*Delivery._fields, "held_until")


async def insert_arrivals(
    conn: Connection, deliveries: Sequence[Delivery], held_until: datetime, timeout_s: float
) -> None:
    """Keep deliveries durably, all or none. May be repeated with the same ones.

    Until `held_until` they are due to nobody.
    """
    held = (held_until,)
    try:
        await conn.copy_records_to_table(
            "arrivals",
            schema_name=SCHEMA,
            columns=_ARRIVAL_COLUMNS,
            records=[delivery + held for delivery in deliveries],
            timeout=timeout_s,
        )
    except asyncpg.UniqueViolationError:
        # The ids are new with each delivery: an earlier try was kept after all, all of it.
        return


async def delete_arrivals(conn: Connection, ids: Sequence[uuid.UUID]) -> None:
    """Delete arrivals that every peer has acknowledged."""
    await conn.execute(_SQL["delete_arrivals"], ids)


async def move_arrivals(
    conn: Connection, ids: Sequence[uuid.UUID], peers: Collection[Peer]
) -> None:
    """Move arrivals to the inbox, due at once to these peers."""
    await conn.execute(_SQL["move_arrivals"], ids, sorted(peers))


async def move_due(conn: Connection, now: datetime, most: int) -> int:
    """Move the oldest arrivals that nobody holds to the inbox, due to all peers; count them."""
    return int(await conn.fetchval(_SQL["move_due"], now, most, sorted(Peer)))


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
