"""The client of all services: one object, one channel per address, opened when first used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType

from grpc import aio

from etapa_client.connection import ATTEMPTS, CallTracer, Connection
from etapa_client.credits import CreditsClient
from etapa_client.intake import IntakeClient
from etapa_client.operations import OperationsClient
from etapa_client.queue import QueueClient
from etapa_client.tools import ToolsClient
from etapa_client.trails import TrailClient


class EtapaClient:
    """Typed calls to Etapa. Use it as `async with EtapaClient(tools="127.0.0.1:50052") as etapa`.

    Addresses are `host:port`; one that is not given is only missed when it is needed. `caller`
    is the scope of request ids. `tracer` sees every call once; `interceptors` see each attempt.
    `attempts` bounds how often a call that may be repeated is made, the first time included; it
    is not repeated where that would mean to wait longer than `longest_pause_s`.
    """

    def __init__(
        self,
        *,
        queue: str = "",
        tools: str = "",
        observability: str = "",
        interceptors: Sequence[aio.ClientInterceptor] = (),
        caller: str = "",
        tracer: CallTracer | None = None,
        attempts: int = ATTEMPTS,
        longest_pause_s: float = math.inf,
    ) -> None:
        more = (interceptors, tracer, attempts, longest_pause_s)
        to_queue = Connection(queue, "queue", *more)
        to_tools = Connection(tools, "tools", *more)
        to_observability = Connection(observability, "observability", *more)
        self._connections = (to_queue, to_tools, to_observability)
        self.queue = QueueClient(to_queue, caller)
        self.operations = OperationsClient(to_queue)
        self.credits = CreditsClient(to_queue)
        self.tools = ToolsClient(to_tools, caller)
        self.trail = TrailClient(to_observability)
        self.intake = IntakeClient(to_observability)

    async def __aenter__(self) -> EtapaClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all channels; calls under way are cancelled."""
        for connection in self._connections:
            await connection.close()
