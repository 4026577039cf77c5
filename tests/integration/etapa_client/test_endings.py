"""Calls that end in the middle: what the server said arrives, and no cancel that nobody made."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc import aio

from etapa_client import EtapaClient, errors
from etapa_client.connection import Connection, Metadata
from services.runtime import errors as kinds
from tests.support.servicers import SmallTools, serving

# What grpc.aio raises for a call that it ended itself.
OWN_ENDINGS = [
    asyncio.CancelledError(),
    aio.AioRpcError(
        grpc.StatusCode.INTERNAL, aio.Metadata(), aio.Metadata(), "Internal error from Core"
    ),
]


def test_a_refusal_in_mid_upload_always_arrives_as_itself() -> None:
    # The server has a thread of its own: within one loop the answer never meets a piece.
    with refusing_server() as port:
        reasons = asyncio.run(refused_uploads(port, 300))
    assert reasons == {"TOO_MANY_ACTIVE_JOBS"}


async def refused_uploads(port: int, times: int) -> set[str]:
    """Send many uploads that are refused; return the reasons that were given."""
    reasons = set()
    async with EtapaClient(tools=f"127.0.0.1:{port}") as etapa:
        for _ in range(times):
            with pytest.raises(errors.EtapaError) as caught:
                await etapa.tools.run("x", {}, {"image": b"x" * 1_000_000}, "u")
            reasons.add(caught.value.reason)
    return reasons


@contextmanager
def refusing_server() -> Iterator[int]:
    """Run a server in another thread that refuses each run by its header; yield its port."""
    ports: queue.Queue[int] = queue.Queue()
    stop = threading.Event()

    async def refuse(_header: Any, _context: Any) -> None:
        raise type("BusyError", (kinds.QuotaError,), {"reason": "TOO_MANY_ACTIVE_JOBS"})("Wait.")

    async def serve() -> None:
        tools = SmallTools()
        tools.before_read = refuse
        async with serving(tools) as server:
            ports.put(server.port)
            await asyncio.to_thread(stop.wait, 60)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ports.get(timeout=10)
    finally:
        stop.set()
        thread.join(10)


@pytest.mark.parametrize("ending", OWN_ENDINGS)
async def test_a_deadline_in_mid_message_is_told_as_one(ending: BaseException) -> None:
    async def once(_left_s: float, _metadata: Metadata) -> None:
        raise ending

    with pytest.raises(errors.DeadlineExceededError):
        await Connection("127.0.0.1:1", "tools").call("Run", once, 0.0, repeatable=True)


async def test_a_server_killed_in_mid_upload_is_told_as_unavailable() -> None:
    tries = 0

    async def once(_left_s: float, _metadata: Metadata) -> None:
        nonlocal tries
        tries += 1
        raise OWN_ENDINGS[1]

    with pytest.raises(errors.UnavailableError):
        await Connection("127.0.0.1:1", "tools", attempts=2).call("Run", once, 20, repeatable=True)
    assert tries == 2


async def test_a_client_closed_in_mid_call_raises_an_error_not_a_cancel() -> None:
    tools = SmallTools()
    started = asyncio.Event()

    async def linger(_header: Any, _context: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    tools.before_read = linger
    async with serving(tools) as server:
        etapa = EtapaClient(tools=f"127.0.0.1:{server.port}")
        call = asyncio.create_task(etapa.tools.run("x", {}, {"image": b"x"}, "u"))
        await asyncio.wait_for(started.wait(), 10)
        await etapa.close()
        with pytest.raises(errors.EtapaError):
            await asyncio.wait_for(call, 10)
