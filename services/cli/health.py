"""Asks a service whether it is ready: gRPC's own health service, or `GET /healthz` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.listen import split_listen

Probe = Callable[[], Awaitable[bool]]
_TIMEOUT_S = 2.0


async def is_listening(address: str) -> bool:
    """Tell whether somebody accepts connections at `host:port`."""
    host, port = split_listen(address)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
    return False


async def grpc_is_serving(address: str) -> bool:
    """Tell whether the gRPC server at `address` says SERVING for itself as a whole."""
    if not await is_listening(address):  # spares a channel, and its back-off, for each refusal
        return False
    async with aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its typed stub knows no aio
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except aio.AioRpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


async def http_is_healthy(address: str, path: str = "/healthz") -> bool:
    """Tell whether `GET /healthz` (or another path) answers 200."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{address}{path}") as reply,
        ):
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
