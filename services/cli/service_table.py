"""What the stack consists of: each service, its listeners, its health check, when it goes down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.cli.health import grpc_is_serving, http_is_healthy


async def emulator_is_healthy(admin_address: str) -> bool:
    """Ask its admin side: the other one offers nothing that RunningHub lacks."""
    return await http_is_healthy(admin_address, "/admin/health")


@dataclass(frozen=True, slots=True)
class Service:
    """One service. Its first listener is its address; `health` names the one that is asked.

    `drain_turn`: services of a lower turn are told to end first, so that what they still say
    finds somebody to listen.
    """

    name: str
    listeners: tuple[str, ...]
    is_healthy: Callable[[str], Awaitable[bool]]
    health: str
    drain_turn: int
    has_tables: bool = False
    module: str = ""

    @property
    def run(self) -> str:
        """Return the module that `python -m` runs."""
        return self.module or f"services.{self.name}"


SERVICES: tuple[Service, ...] = (
    # observability_otlp and observability_jaeger join here when our own trace store is served.
    Service("observability", ("observability",), grpc_is_serving, "observability", 3, True),
    Service("queue", ("queue",), grpc_is_serving, "queue", 2, True),
    Service("tools", ("tools",), grpc_is_serving, "tools", 1),
    Service("webhook", ("webhook",), http_is_healthy, "webhook", 1, True),
    Service("emulator", ("emulator", "emulator_admin"), emulator_is_healthy, "emulator_admin", 3),
    Service("console", ("console",), http_is_healthy, "console", 1),
)
NAMES = tuple(service.name for service in SERVICES)


def pick(*names: str) -> tuple[Service, ...]:
    """Return the services of these names, in the order of the table."""
    return tuple(service for service in SERVICES if service.name in names)
