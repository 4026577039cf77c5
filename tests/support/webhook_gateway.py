"""A gateway for tests: in this process over real sockets, or as the process that is deployed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from etapa_client.client import EtapaClient
from services.runtime.db import open_pool
from services.runtime.http_server import HttpServer
from services.webhook.domain import Delivery
from services.webhook.gateway import Gateway
from services.webhook.settings import Settings
from tests.support.waiting import eventually

MEDIA_KEY = "a-media-key-of-the-tests"


@dataclass
class Reply:
    """One HTTP reply, read off the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


async def read_reply(reader: asyncio.StreamReader, *, has_body: bool = True) -> Reply:
    """Read one reply; header names in lower case."""
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length", "0")) if has_body else 0
        return Reply(int(head[0].split()[1]), headers, await reader.readexactly(size))


@asynccontextmanager
async def connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Hold one raw connection to the gateway."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(port: int, request: bytes, *, has_body: bool = True) -> Reply:
    """Send raw bytes on a new connection; read one reply."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await read_reply(reader, has_body=has_body)


def http_request(
    target: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
) -> bytes:
    """Write a request with its length."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.example"]
    lines += [f"{name}: {value}" for name, value in headers]
    if method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def post(port: int, target: str, body: bytes = b"{}") -> Reply:
    """Post one callback."""
    return await exchange(port, http_request(target, body))


async def inbox_rows(dsn: str) -> list[asyncpg.Record]:
    """Read what is kept, whether still held or in the inbox, in order of arrival."""
    columns = ", ".join(Delivery._fields)
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetch(
            f"SELECT {columns} FROM webhook.arrivals UNION ALL "
            f"SELECT {columns} FROM webhook.inbox ORDER BY delivery_id"
        )
    finally:
        await conn.close()


async def inbox_is_empty(dsn: str) -> None:
    """Wait until all was forwarded and deleted."""

    async def is_empty() -> bool:
        return not await inbox_rows(dsn)

    await eventually(is_empty)


def gateway_env(dsn: str, blobs: str, **more: str) -> dict[str, str]:
    """Settings of a gateway whose peers nobody serves, unless `more` says otherwise."""
    return {
        "ETAPA_DATABASE_URL": dsn,
        "ETAPA_BLOBS": blobs,
        "ETAPA_MEDIA_KEY": MEDIA_KEY,
        "ETAPA_WEBHOOK_LISTEN": "127.0.0.1:0",
        # Port 9 (discard): nothing listens there.
        "ETAPA_QUEUE_ADDRESS": "127.0.0.1:9",
        "ETAPA_OBSERVABILITY_ADDRESS": "127.0.0.1:9",
        "ETAPA_WEBHOOK_POLL_S": "0.1",
        **more,
    }


@asynccontextmanager
async def running_gateway(env: Mapping[str, str]) -> AsyncIterator[int]:
    """Run a gateway in this process; yields its port."""
    settings = Settings.from_env(env)
    pool = await open_pool(settings.database_url, "webhook", min_size=0)
    client = EtapaClient(queue=settings.queue_address, observability=settings.observability_address)
    gateway = Gateway(settings, pool, client)
    server = HttpServer(
        settings.listen,
        gateway.app,
        raw_bodies=True,
        idle_timeout_s=settings.idle_timeout_s,
        front=gateway.front,
    )
    work = asyncio.create_task(gateway.work())
    try:
        yield await server.start()
    finally:
        await server.stop(1)
        await gateway.inbox.close()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        await client.close()
        pool.terminate()


@dataclass
class GatewayProcess:
    """`python -m services.webhook` under a test."""

    process: asyncio.subprocess.Process
    port: int
    lines: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def ended(self) -> int:
        """Wait for its end; return the exit code (negative: the signal)."""
        async with asyncio.timeout(20):
            code = await self.process.wait()
            if self._reading is not None:
                await self._reading
        return code

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.ended()


async def start_process(env: Mapping[str, str]) -> GatewayProcess:
    """Start the gateway as a process and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.webhook",
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    started = GatewayProcess(process, 0)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while not started.port:
            line = (await process.stdout.readline()).decode()
            assert line, f"the gateway ended before it listened: {started.lines}"
            started.lines.append(line)
            started.port = _fields(line).get("port", 0)
    started._reading = asyncio.create_task(_read_all(started))
    return started


async def _read_all(started: GatewayProcess) -> None:
    assert started.process.stdout is not None
    async for line in started.process.stdout:
        started.lines.append(line.decode())


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if fields.get("message") == "gateway_listening" else {}
