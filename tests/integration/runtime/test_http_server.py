"""The HTTP server over a real socket: the same errors, addresses and endings as gRPC."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from services.runtime import errors
from services.runtime.error_table import INTERNAL_TEXT
from services.runtime.http_errors import error_middleware
from services.runtime.http_server import HttpServer
from services.runtime.listen import InsecureBindError, PortInUseError


async def landed(_request: web.Request) -> web.Response:
    """Answer at the end of a redirect."""
    return web.Response(text="landed")


async def answer_of(error: BaseException | None, path: str = "/x") -> tuple[int, Any, Any]:
    """Serve a handler that raises, and return status, JSON and headers of one GET."""

    async def handle(_request: web.Request) -> web.Response:
        if error is not None:
            raise error
        return web.Response(text="ok")

    app = web.Application(middlewares=[error_middleware])
    app.router.add_get("/x", handle)
    app.router.add_get("/y", landed)
    server = HttpServer("127.0.0.1:0", app)
    port = await server.start()
    try:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as got:
            body = await got.json(content_type=None) if got.status >= 400 else await got.text()
            return got.status, body, got.headers
    finally:
        await server.stop(1)


async def test_an_error_becomes_json_of_the_same_meaning() -> None:
    error = errors.QuotaError("One job at a time.", {"active_job_ids": "j1"})
    status, body, _ = await answer_of(error)
    assert status == 429
    assert body["error"]["reason"] == "QUOTA"
    assert body["error"]["message"] == "One job at a time."
    assert body["error"]["facts"] == {"active_job_ids": "j1"}


async def test_an_unknown_error_shows_nothing_of_itself() -> None:
    status, body, _ = await answer_of(RuntimeError("secret"))
    assert (status, body["error"]["message"]) == (500, INTERNAL_TEXT)
    assert "secret" not in str(body)
    assert len(body["error"]["trace_id"]) == 32


async def test_a_lost_database_says_when_to_come_back() -> None:
    status, body, headers = await answer_of(ConnectionResetError(104, "peer"))
    assert (status, body["error"]["reason"]) == (503, "DATABASE_UNAVAILABLE")
    assert headers["Retry-After"] == "1"


async def test_an_unknown_path_is_json_too() -> None:
    status, body, _ = await answer_of(None, "/nowhere")
    assert (status, body["error"]["reason"]) == (404, "NOT_FOUND")


async def test_a_redirect_is_no_error() -> None:
    status, body, _ = await answer_of(web.HTTPFound("/y"))
    assert (status, body) == (200, "landed")


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
