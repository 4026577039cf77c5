"""Each peer hears of every delivery, whatever becomes of the other one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from services.runtime.blobs import BlobStore
from services.runtime.db import open_pool
from services.runtime.errors import UnavailableError
from services.webhook import forward, store
from services.webhook.domain import Delivery, Peer
from services.webhook.forward import Forwarder
from tests.support.waiting import eventually
from tests.support.webhook_delivery import a_delivery, keep
from tests.support.webhook_gateway import (
    exchange,
    http_request,
    inbox_is_empty,
    inbox_rows,
    post,
    running_gateway,
)
from tests.support.webhook_peers import Peers

TOKEN = "k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"
TARGET = f"/runninghub/{TOKEN}"
AWAY = {
    "ETAPA_QUEUE_ADDRESS": "127.0.0.1:9",
    "ETAPA_OBSERVABILITY_ADDRESS": "127.0.0.1:9",
}


async def test_a_callback_reaches_both_peers_and_leaves_the_inbox(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    body = b'{"event":"TASK_END","taskId":"19","eventData":{"taskId":"19","status":"SUCCESS"}}'
    async with running_gateway(joined_env) as port:
        await post(port, TARGET, body)
        await peers.wait_for(callbacks=1, deliveries=1)
        await inbox_is_empty(dsn)

    (callback,), (delivery,) = peers.queue.callbacks, peers.intake.deliveries
    assert (callback.event, callback.task_id, callback.task_status) == ("TASK_END", "19", "SUCCESS")
    assert callback.token_hash == hashlib.sha256(TOKEN.encode()).digest()
    assert callback.body_sha256 == delivery.info.sha256 == hashlib.sha256(body).digest()
    assert callback.delivery_id == delivery.info.payload_id == delivery.info.exchange_id
    assert callback.traceparent.split("-")[1] == delivery.info.trace_id
    assert delivery.body == body
    assert (delivery.info.bytes, delivery.info.transport) == (len(body), "received")


async def test_the_queue_hears_while_observability_is_away(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    await peers.stop("intake")
    async with running_gateway(joined_env) as port:
        for number in range(3):
            await post(port, TARGET, str(number).encode())
        await peers.wait_for(callbacks=3)
        assert [row["body"] for row in await inbox_rows(dsn)] == [b"0", b"1", b"2"]

        await peers.start_intake()
        await peers.wait_for(deliveries=3)
        await inbox_is_empty(dsn)

    assert len(peers.queue.callbacks) == 3


async def test_observability_hears_while_the_queue_is_away(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    await peers.stop("queue")
    async with running_gateway(joined_env) as port:
        await post(port, TARGET)
        await peers.wait_for(deliveries=1)
        assert len(await inbox_rows(dsn)) == 1

        await peers.start_queue()
        await peers.wait_for(callbacks=1)
        await inbox_is_empty(dsn)


async def test_deliveries_keep_their_order_of_arrival(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    await peers.stop()
    async with running_gateway(joined_env) as port:
        for number in range(20):
            await post(port, TARGET, json.dumps({"taskId": str(number)}).encode())
        await eventually(lambda: _nothing_is_held(dsn))
        await peers.start_queue()
        await peers.wait_for(callbacks=20)

    assert [callback.task_id for callback in peers.queue.callbacks] == [
        str(number) for number in range(20)
    ]


async def test_what_waited_goes_out_in_batches(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env | AWAY) as port:
        await asyncio.gather(*(post(port, TARGET) for _ in range(100)))
    async with running_gateway(joined_env):
        await peers.wait_for(callbacks=100, deliveries=100)
        await inbox_is_empty(dsn)

    assert len(peers.queue.batches) == len(peers.intake.batches) == 1


async def test_a_batch_stays_within_the_limit_of_a_message(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    await peers.stop()
    body = b"z" * 60_000
    async with running_gateway(joined_env) as port:
        await asyncio.gather(*(post(port, TARGET, body) for _ in range(100)))
        await peers.start_intake()
        await peers.wait_for(deliveries=100)

    sizes = [sum(one.ByteSize() for one in batch) for batch in peers.intake.batches]
    assert max(sizes) < 3 * 1024 * 1024
    assert {delivery.body for delivery in peers.intake.deliveries} == {body}


async def test_a_large_body_goes_by_the_blob_store(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    body = b'{"apiKey":"0123456789abcdef","pad":"' + b"p" * 200_000 + b'"}'
    async with running_gateway(joined_env) as port:
        await post(port, TARGET, body)
        await peers.wait_for(deliveries=1)

    (delivery,) = peers.intake.deliveries
    kept = await BlobStore(joined_env["ETAPA_BLOBS"]).get(delivery.blob_sha256)
    assert kept == body.replace(b"0123456789abcdef", b"*" * 16)
    assert delivery.info.sha256 == hashlib.sha256(body).digest()
    assert [(r.start, r.end) for r in delivery.info.masked] == [(11, 27)]


async def test_an_oversized_body_is_forwarded_as_such(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env | {"ETAPA_WEBHOOK_MAX_BYTES": "2000"}) as port:
        assert (await post(port, TARGET, b"x" * 5000)).status == 413
        await peers.wait_for(callbacks=1, deliveries=1)

    (delivery,) = peers.intake.deliveries
    assert delivery.info.transport == "too_large"
    assert delivery.info.truncated
    assert peers.queue.callbacks[0].token_hash == hashlib.sha256(TOKEN.encode()).digest()


async def test_one_refused_delivery_holds_up_no_other(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    peers.queue.refuses = lambda callback: callback.task_id == "7"
    await peers.stop("queue")
    async with running_gateway(joined_env) as port:
        for number in range(20):
            await post(port, TARGET, json.dumps({"event": "e", "taskId": str(number)}).encode())
        await peers.start_queue()
        await peers.wait_for(callbacks=19, deliveries=20)

        async def only_the_refused_one_waits() -> bool:
            bodies = [row["body"] for row in await inbox_rows(dsn)]
            return bodies == [b'{"event": "e", "taskId": "7"}']

        # It is not given up: once the peer takes it, it goes.
        await eventually(only_the_refused_one_waits)
        peers.queue.refuses = lambda _: False
        await peers.wait_for(callbacks=20)
        await inbox_is_empty(dsn)


@pytest.mark.parametrize(
    ("peer", "give_up_s", "left"),
    [
        (Peer.QUEUE, 3600, {Peer.QUEUE: 2, Peer.OBSERVABILITY: 3}),
        (Peer.OBSERVABILITY, None, {Peer.QUEUE: 3, Peer.OBSERVABILITY: 3}),
    ],
)
async def test_only_what_is_refused_for_too_long_and_kept_elsewhere_is_given_up(
    dsn: str, peer: Peer, give_up_s: float | None, left: dict[Peer, int]
) -> None:
    async def refuse(deliveries: Sequence[Delivery]) -> None:
        raise ValueError("not this one")

    async def be_away(deliveries: Sequence[Delivery]) -> None:
        raise UnavailableError("away")

    pool = await open_pool(dsn, "test")
    two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
    old, back = [a_delivery()._replace(received_at=two_hours_ago) for _ in range(2)]
    refused_often = "UPDATE webhook.forwards SET refusals = 30 WHERE delivery_id <> $1"
    async with pool.acquire() as conn:
        await keep(conn, [old, back, a_delivery()])
        await conn.execute(refused_often, back.delivery_id)
    away = Forwarder(pool, peer, be_away, poll_s=60, give_up_s=give_up_s)
    with pytest.raises(UnavailableError):
        await away.turn()
    async with pool.acquire() as conn:
        assert await store.read_backlog(conn, 9) == {Peer.QUEUE: 3, Peer.OBSERVABILITY: 3}
    await Forwarder(pool, peer, refuse, poll_s=60, give_up_s=give_up_s).turn()
    async with pool.acquire() as conn:
        assert await store.read_backlog(conn, 9) == left
        assert await conn.fetchval("SELECT count(*) FROM webhook.inbox") == 3
    await pool.close()


async def test_a_delivery_that_cannot_be_told_holds_up_no_other(dsn: str) -> None:
    sent: list[bytes] = []

    async def send(deliveries: Sequence[Delivery]) -> None:
        bodies = [one.body for one in deliveries]
        if b"poison" in bodies:
            raise ValueError("this can't be put into words")
        sent.extend(bodies)

    pool = await open_pool(dsn, "webhook")
    async with pool:
        async with pool.acquire() as conn:
            bodies = [b"a", b"b", b"poison", b"c"]
            await keep(conn, [a_delivery(body) for body in bodies])
        forwarder = Forwarder(pool, Peer.QUEUE, send, poll_s=1)
        assert await forwarder.turn()
        async with pool.acquire() as conn:
            assert (await store.read_backlog(conn, 9))[Peer.QUEUE] == 1

    assert sent == [b"a", b"b", b"c"]


async def test_two_gateways_share_an_inbox_without_sending_twice(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env) as one, running_gateway(joined_env) as other:
        await asyncio.gather(*(post((one, other)[n % 2], TARGET) for n in range(200)))
        await peers.wait_for(callbacks=200, deliveries=200)
        await inbox_is_empty(dsn)

    assert len({callback.delivery_id for callback in peers.queue.callbacks}) == 200
    assert len(peers.queue.callbacks) == len(peers.intake.deliveries) == 200


async def test_a_gateway_forwards_what_another_left(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env | AWAY) as port:
        await post(port, TARGET)

    async with running_gateway(joined_env):
        await peers.wait_for(callbacks=1, deliveries=1)
        await inbox_is_empty(dsn)


async def test_nothing_is_left_of_what_was_forwarded(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env) as port:
        await asyncio.gather(*(post(port, TARGET) for _ in range(20)))
        await inbox_is_empty(dsn)

    conn = await asyncpg.connect(dsn)
    try:
        assert await conn.fetchval("SELECT count(*) FROM webhook.forwards") == 0
    finally:
        await conn.close()


async def test_secrets_in_headers_and_target_are_masked(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    headers = (
        ("Authorization", "Basic c2VjcmV0"),
        ("Referer", f"https://gw.example/runninghub/{TOKEN}"),
        ("Content-Type", "application/json"),
    )
    async with running_gateway(joined_env) as port:
        await exchange(port, http_request(f"{TARGET}?token=abcdefgh", b"{}", headers=headers))
        await peers.wait_for(deliveries=1)

    info = peers.intake.deliveries[0].info
    assert info.url == f"/runninghub/{'*' * len(TOKEN)}?token=********"
    assert [(one.name, one.value) for one in info.headers][1:4] == [
        ("Authorization", "*" * 14),
        ("Referer", f"https://gw.example/runninghub/{'*' * len(TOKEN)}"),
        ("Content-Type", "application/json"),
    ]


async def test_the_loops_survive_peers_that_come_and_go(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env) as port:
        for number in range(3):
            await peers.stop()
            await post(port, TARGET)
            await peers.start_queue()
            await peers.start_intake()
            await peers.wait_for(callbacks=number + 1, deliveries=number + 1)
        await inbox_is_empty(dsn)


async def test_a_crowd_is_forwarded_whole(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    async with running_gateway(joined_env) as port:
        bodies = {json.dumps({"n": number}).encode() for number in range(600)}
        await asyncio.gather(*(post(port, TARGET, body) for body in bodies))

        async def all_arrived() -> bool:
            return len(peers.intake.deliveries) >= 600

        await eventually(all_arrived)
    assert {delivery.body for delivery in peers.intake.deliveries} == bodies


async def test_more_than_memory_may_hold_is_forwarded_all_the_same(
    dsn: str, joined_env: dict[str, str], peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MOST_HELD", 3)
    async with running_gateway(joined_env) as port:
        bodies = {json.dumps({"n": number}).encode() for number in range(200)}
        await asyncio.gather(*(post(port, TARGET, body) for body in bodies))
        await peers.wait_for(callbacks=200, deliveries=200)
        await inbox_is_empty(dsn)

    assert {delivery.body for delivery in peers.intake.deliveries} == bodies


async def test_a_gateway_that_ends_leaves_nothing_held(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    release = asyncio.Event()
    async with running_gateway(joined_env) as port:
        await post(port, TARGET, b"told")
        await inbox_is_empty(dsn)
        peers.queue.pause = peers.intake.pause = release.wait
        await post(port, TARGET, b"under way")
        assert len(await _rows(dsn, "arrivals")) == 1
    assert await _rows(dsn, "arrivals") == []
    assert len(await _rows(dsn, "forwards")) == 2
    release.set()


async def test_a_peer_that_takes_its_time_holds_up_neither_the_other_nor_the_answer(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    release = asyncio.Event()
    peers.intake.pause = release.wait
    async with running_gateway(joined_env) as port:
        for number in range(5):
            assert (await post(port, TARGET, str(number).encode())).status == 200
            await peers.wait_for(callbacks=number + 1)
        assert peers.intake.deliveries == []
        release.set()
        await peers.wait_for(deliveries=5)
        await inbox_is_empty(dsn)

    assert len(peers.queue.callbacks) == len(peers.intake.deliveries) == 5


async def _nothing_is_held(dsn: str) -> bool:
    return not await _rows(dsn, "arrivals WHERE held_until > now()")


async def _rows(dsn: str, table: str) -> list[asyncpg.Record]:
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetch(f"SELECT * FROM webhook.{table}")
    finally:
        await conn.close()
