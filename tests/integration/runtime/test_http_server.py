"""The HTTP server over a real socket: the same addresses and endings as gRPC."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import ClientError, ClientSession, web

from services.runtime.http_server import HttpServer
from services.runtime.listen import InsecureBindError, PortInUseError


async def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} is in use"):
            await HttpServer(f"127.0.0.1:{port}", web.Application()).start()


async def test_an_address_beyond_loopback_is_refused() -> None:
    with pytest.raises(InsecureBindError):
        await HttpServer("0.0.0.0:0", web.Application()).start()


async def test_stop_waits_for_a_request_under_way() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def handle(_request: web.Request) -> web.Response:
        started.set()
        await release.wait()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", handle)
    server = HttpServer("127.0.0.1:0", app)
    port = await server.start()
    async with ClientSession() as session:
        call = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(started.wait(), 5)
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0)
        release.set()
        assert await (await call).text() == "done"
        await asyncio.wait_for(stopping, 5)


async def test_stop_ends_a_request_that_outlives_the_grace() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def handle(_request: web.Request) -> web.Response:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handle)
    server = HttpServer("127.0.0.1:0", app)
    port = await server.start()
    async with ClientSession() as session:
        call = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(started.wait(), 5)
        await asyncio.wait_for(server.stop(0.05), 5)
        assert ended.is_set()
        with pytest.raises(ClientError):
            await call
