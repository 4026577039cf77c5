"""The statements fit the schema, each is used once, and the claim walks its index."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.runtime.db import Connection
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
            await store.insert_arrivals(conn, [delivery], datetime.now(UTC), 5)
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


async def test_what_a_gateway_holds_is_nobody_elses_until_its_time_is_over(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    now = datetime.now(UTC)
    try:
        held, loose = a_delivery(b"held"), a_delivery(b"loose")
        await store.insert_arrivals(conn, [held], now + timedelta(seconds=60), 5)
        await store.insert_arrivals(conn, [loose], now, 5)
        assert await store.move_due(conn, now, 9) == 1
        assert await _bodies(conn, Peer.QUEUE) == await _bodies(conn, Peer.OBSERVABILITY)
        assert await _bodies(conn, Peer.QUEUE) == [b"loose"]
        assert await store.move_due(conn, now + timedelta(seconds=61), 9) == 1
        assert await _bodies(conn, Peer.QUEUE) == [b"held", b"loose"]
        assert await conn.fetchval("SELECT count(*) FROM webhook.arrivals") == 0
    finally:
        await conn.close()


async def test_what_moves_to_the_inbox_is_whole_and_due_to_those_who_do_not_know(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        one = a_delivery(b"\x00\xff" * 5000, headers=((b"A", b"\xe9"),))
        await store.insert_arrivals(conn, [one], datetime.now(UTC) + timedelta(seconds=60), 5)
        await store.move_arrivals(conn, [one.delivery_id], {Peer.OBSERVABILITY})
        assert await store.read_backlog(conn, 9) == {Peer.OBSERVABILITY: 1, Peer.QUEUE: 0}
        claim = (Peer.OBSERVABILITY, datetime.now(UTC), 9, 99_999)
        ((delivery, refusals),) = [
            (claimed.delivery, claimed.refusals)
            for claimed in await store.claim_deliveries(conn, *claim)
        ]
    finally:
        await conn.close()
    assert (delivery, refusals) == (one, 0)


async def test_what_another_gateway_moved_already_is_kept_once(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        one = a_delivery()
        for _ in range(2):
            await store.insert_arrivals(conn, [one], datetime.now(UTC), 5)
            await store.move_due(conn, datetime.now(UTC), 9)
        assert await store.read_backlog(conn, 9) == {Peer.OBSERVABILITY: 1, Peer.QUEUE: 1}
        assert await conn.fetchval("SELECT count(*) FROM webhook.inbox") == 1
    finally:
        await conn.close()


async def _bodies(conn: Connection, peer: Peer) -> list[bytes]:
    claimed = await store.claim_deliveries(conn, peer, datetime.now(UTC), 9, 9999)
    return [one.delivery.body for one in claimed]


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
