"""The statements fit the schema, each is used once, and the claim walks its index."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.runtime.sql import load_statements
from services.webhook import store
from services.webhook.domain import Peer
from tests.support.webhook_delivery import a_delivery, keep

STATEMENTS = load_statements(store.__file__)
SOURCE = Path(store.__file__).read_text()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_fits_the_schema_and_is_used_once(dsn: str, name: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.prepare(STATEMENTS[name])
    finally:
        await conn.close()
    assert len(re.findall(rf'_SQL\["{name}"\]', SOURCE)) == 1


async def test_a_delivery_inserted_twice_is_kept_once(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        delivery = a_delivery()
        for _ in range(2):
            await keep(conn, [delivery])
        assert await store.read_backlog(conn, 10) == {Peer.OBSERVABILITY: 1, Peer.QUEUE: 1}
    finally:
        await conn.close()


async def test_a_claim_skips_what_another_gateway_holds_but_not_the_other_peer(dsn: str) -> None:
    one, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    now = datetime.now(UTC)
    try:
        await keep(one, [a_delivery()])
        async with one.transaction(), other.transaction():
            assert len(await store.claim_deliveries(one, Peer.QUEUE, now, 9, 999)) == 1
            assert not await store.claim_deliveries(other, Peer.QUEUE, now, 9, 999)
            assert len(await store.claim_deliveries(other, Peer.OBSERVABILITY, now, 9, 999)) == 1
    finally:
        await one.close()
        await other.close()


async def test_a_claim_keeps_to_its_bytes_but_takes_one_at_least(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    now = datetime.now(UTC)
    try:
        await keep(conn, [a_delivery(b"x" * 1000) for _ in range(5)])
        sizes = [
            len(await store.claim_deliveries(conn, Peer.QUEUE, now, 9, most_bytes))
            for most_bytes in (1, 2100, 10_000)
        ]
    finally:
        await conn.close()
    assert sizes == [1, 2, 5]


async def test_what_a_gateway_holds_is_nobody_elses_until_it_is_released(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    now = datetime.now(UTC)

    async def due_to_the_queue(moment: datetime) -> list[bytes]:
        claimed = await store.claim_deliveries(conn, Peer.QUEUE, moment, 9, 9999)
        return [one.delivery.body for one in claimed]

    try:
        one, two, refused = (a_delivery(body) for body in (b"1", b"2", b"3"))
        await keep(conn, [one, two, refused], held_s=60)
        await store.postpone_forward(
            conn, Peer.QUEUE, refused.delivery_id, now + timedelta(seconds=90)
        )
        assert await due_to_the_queue(now) == []
        assert await due_to_the_queue(now + timedelta(seconds=61)) == [b"1", b"2"]
        await store.release_forwards(conn, Peer.QUEUE, [one.delivery_id])
        assert await due_to_the_queue(now) == [b"1"]
        await store.release_all(conn)
        assert await due_to_the_queue(now) == [b"1", b"2"]
    finally:
        await conn.close()


async def test_what_both_peers_know_is_deleted_whole(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        told, waiting = a_delivery(), a_delivery()
        await keep(conn, [told, waiting])
        await store.delete_told(conn, [told.delivery_id])
        assert await store.read_backlog(conn, 9) == {Peer.OBSERVABILITY: 1, Peer.QUEUE: 1}
        left = await conn.fetchval("SELECT delivery_id FROM webhook.inbox")
    finally:
        await conn.close()
    assert left == waiting.delivery_id


async def test_only_the_second_peer_finishes_a_delivery(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        delivery = a_delivery()
        await keep(conn, [delivery])
        finished = [
            await store.delete_acknowledged(conn, peer, [delivery.delivery_id]) for peer in Peer
        ]
        assert await conn.fetchval("SELECT count(*) FROM webhook.inbox") == 0
    finally:
        await conn.close()
    assert finished == [0, 1]


async def test_the_claim_walks_its_index_whatever_waits(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        for _ in range(10):
            await keep(conn, [a_delivery() for _ in range(500)])
        await conn.execute("ANALYZE webhook.inbox, webhook.forwards")
        explain = f"EXPLAIN (FORMAT JSON) {STATEMENTS['claim_deliveries']}"
        plan = await conn.fetchval(explain, Peer.QUEUE.value, datetime.now(UTC), 250, 2_000_000)
    finally:
        await conn.close()
    scans = re.findall(r'"Node Type": "([^"]+)"', json.dumps(json.loads(plan)))
    assert "Seq Scan" not in scans
    assert scans.count("Index Scan") + scans.count("Index Only Scan") == 2
