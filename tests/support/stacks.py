"""Stacks for tests: free ports, a folder of their own, any set of services."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from services.cli.addresses import Addresses, PortBlock
from services.cli.health import http_is_healthy
from services.cli.service_table import Service
from services.cli.stack import Stack
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import Change
from tests.support.postgres import settings_in

STAND_IN = "tests.support.standin"


def stand_in(name: str, drain_turn: int = 1, *, has_tables: bool = False) -> Service:
    """Return a small real service that listens where the service of that name would."""
    return Service(name, (name,), http_is_healthy, name, drain_turn, has_tables, STAND_IN)


def own_env() -> dict[str, str]:
    """Return this process's environment without what is meant for Etapa, Postgres or OTel."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


@asynccontextmanager
async def running_stack(
    home: Path, *services: Service, changes: list[Change] | None = None, **settings: object
) -> AsyncIterator[Stack]:
    """Run a stack on free ports; the services are those of the table unless given."""
    ports = PortBlock()
    base = StackSettings(
        home=home,
        postgres=settings_in(home / "postgres"),
        addresses=Addresses.from_ports(ports),
        env=own_env(),
    )
    if services:
        settings["services"] = services
    wanted = replace(base, **settings)  # type: ignore[arg-type]  # mypy cannot see the keywords
    seen: list[Change] = [] if changes is None else changes
    try:
        async with Stack(wanted, seen.append) as stack:
            yield stack
    finally:
        ports.close()
