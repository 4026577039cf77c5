"""A gRPC server as every service needs it: health, reflection, the edge, and an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from services.runtime.grpc_edge import DEADLINE_EXEMPT, Edge, Handler, refuse_blocking
from services.runtime.listen import (
    InsecureBindError,
    PortInUseError,
    bind_error,
    check_loopback,
    split_listen,
)
from services.runtime.tracing import start_server_span

__all__ = ["DEADLINE_EXEMPT", "GrpcServer", "InsecureBindError", "PortInUseError"]

# A client may ping this often without being told to go away (GOAWAY too_many_pings); the SDK
# pings every 30 s, so both ends agree with room to spare (gRFC A8).
LEAST_PING_MS = 10_000
METADATA_BYTES = 32 * 1024
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    """Serves servicers at one address. Starts as NOT_SERVING until `set_serving(True)`."""

    def __init__(
        self,
        listen: str,
        *,
        max_message_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._listen = listen
        self._edge = Edge(start_server_span)
        self._server = aio.server(options=_options(max_message_bytes))
        self._handlers: Any = _Handlers(self._edge)
        self._server.add_generic_rpc_handlers((self._handlers,))
        self._health: Any = health.aio.HealthServicer()
        self._services = [""]
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def add(
        self, adder: Callable[[Any, aio.Server], None], servicer: object, service_name: str
    ) -> None:
        """Register a servicer by its generated adder and its full name, before `start()`."""
        refuse_blocking(servicer)
        adder(servicer, self._handlers)
        self._services.append(service_name)

    async def start(self) -> int:
        """Bind and serve; return the port. Raises `PortInUseError` or `InsecureBindError`."""
        check_loopback(self._listen)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._handlers)
        for service in self._services:
            await self._health.set(service, _NOT_SERVING)
        names = [*self._services[1:], health.SERVICE_NAME, reflection.SERVICE_NAME]
        add_reflection: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add_reflection(reflection.aio.ReflectionServicer(names), self._handlers)
        _, asked = split_listen(self._listen)
        try:
            self.port = self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise bind_error(self._listen) from error
        if asked and self.port != asked:
            raise bind_error(self._listen)
        await self._server.start()
        return self.port

    def set_serving(self, serving: bool) -> None:
        """Tell the health of all services; after `stop()` it stays NOT_SERVING."""
        task = asyncio.get_running_loop().create_task(self._set_health(serving))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, grace_s: float) -> None:
        """NOT_SERVING for good, refuse new calls, end streams, wait for the others."""
        await self._health.enter_graceful_shutdown()
        stopped = asyncio.create_task(self._server.stop(grace_s + 2))
        # One turn of the loop, so that the server refuses new calls before old ones are ended.
        await asyncio.sleep(0)
        await self._edge.drain(grace_s)
        await stopped

    async def _set_health(self, serving: bool) -> None:
        for service in self._services:
            await self._health.set(service, _SERVING if serving else _NOT_SERVING)


class _Handlers(grpc.GenericRpcHandler):
    """All handlers, wrapped and found by name. Generated code takes it for the server.

    As what grpc.aio calls registered methods, each would cost it a future, and it waits for all of
    them anew on every call: with 20 methods a fifth of a call's cost (grpcio 1.85, 2026-11-24).
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._services: list[grpc.GenericRpcHandler] = []
        self._wrapped: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Take the handlers of a service."""
        self._services.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Do nothing: generated code has given them all to the other method."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the handler of the method called."""
        method = str(handler_call_details.method)
        known = self._wrapped.get(method)
        if known is None:
            found = (each.service(handler_call_details) for each in self._services)
            handler = next((each for each in found if each is not None), None)
            if handler is not None:
                known = self._wrapped[method] = self._edge.wrap(method, handler)
        return known


def _options(max_message_bytes: int) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", LEAST_PING_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
