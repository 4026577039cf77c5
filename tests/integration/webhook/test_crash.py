"""The gateway as a process: killed at its failpoints, ended in order, and silent about tokens."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from services.runtime.errors import SettingsError
from services.webhook.settings import Settings
from tests.support.webhook_gateway import (
    connected,
    exchange,
    http_request,
    inbox_is_empty,
    inbox_rows,
    post,
    read_reply,
    start_process,
)
from tests.support.webhook_peers import Peers

TOKEN = "k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"
TARGET = f"/runninghub/{TOKEN}"


async def test_a_callback_survives_a_kill_right_after_its_commit(
    dsn: str, joined_env: dict[str, str], peers: Peers, tmp_path: Path
) -> None:
    env = joined_env | {"ETAPA_FAILPOINT": f"callback_stored:{tmp_path / 'fired'}"}
    killed = await start_process(env)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await post(killed.port, TARGET, b"once")
    assert await killed.ended() == -signal.SIGKILL
    assert [row["body"] for row in await inbox_rows(dsn)] == [b"once"]

    again = await start_process(env)
    await peers.wait_for(callbacks=1, deliveries=1)
    assert (await post(again.port, TARGET, b"repeated by the sender")).status == 200
    await peers.wait_for(callbacks=2, deliveries=2)
    await inbox_is_empty(dsn)
    assert await again.stop() == 0
    assert peers.intake.deliveries[0].body == b"once"


async def test_a_kill_before_the_delete_only_repeats_what_both_know(
    dsn: str, joined_env: dict[str, str], peers: Peers, tmp_path: Path
) -> None:
    env = joined_env | {"ETAPA_FAILPOINT": f"forwarded_not_deleted:{tmp_path / 'fired'}"}
    killed = await start_process(env)
    assert (await post(killed.port, TARGET, b"once")).status == 200
    assert await killed.ended() == -signal.SIGKILL
    await peers.wait_for(callbacks=1, deliveries=1)
    assert len(await inbox_rows(dsn)) == 1

    again = await start_process(env)
    await inbox_is_empty(dsn)
    assert await again.stop() == 0
    assert len({one.delivery_id for one in peers.queue.callbacks}) == 1
    assert len({one.info.payload_id for one in peers.intake.deliveries}) == 1


async def test_sigterm_answers_who_is_here_and_ends_with_zero(
    dsn: str, joined_env: dict[str, str]
) -> None:
    process = await start_process(joined_env)
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n".encode()
    async with connected(process.port) as (reader, writer):
        writer.write(head + b"ha")
        await writer.drain()
        # The second request proves that the first, sent before it, has been taken up.
        assert (await post(process.port, TARGET)).status == 200
        process.process.send_signal(signal.SIGTERM)
        writer.write(b"lf")
        reply = await read_reply(reader)

    assert reply.status == 200
    assert await process.ended() == 0


async def test_no_token_is_in_any_log_line(
    dsn: str, joined_env: dict[str, str], peers: Peers
) -> None:
    process = await start_process(joined_env | {"ETAPA_LOG_LEVEL": "DEBUG"})
    await post(process.port, TARGET)
    await post(process.port, f"/runninghub/video/{TOKEN}", b'{"url": "/runninghub/%s"}')
    for broken in (
        f"POST {TARGET} HTTP/9.9\r\n\r\n",
        f"BR(OKEN {TARGET} HTTP/1.1\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nReferer {TARGET}\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        await exchange(process.port, broken.encode())
    await exchange(process.port, http_request(TARGET, method="PUT"))
    await peers.wait_for(callbacks=2, deliveries=2)
    await inbox_is_empty(dsn)
    assert await process.stop() == 0

    text = "".join(process.lines)
    assert "callbacks_forwarded" in text
    assert TOKEN not in text
    assert TOKEN[:24] not in text


def test_start_up_lists_every_wrong_setting() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"ETAPA_WEBHOOK_LISTEN": "here", "ETAPA_FAILPOINT": "somewhere"})

    assert len(caught.value.problems) == 3
