"""Whole stacks for end-to-end tests: each service a process, three accounts at the emulator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from etapa_client import EtapaClient
from services.cli.addresses import Addresses, PortBlock
from services.cli.service_table import SERVICES, Service
from services.cli.stack import Stack
from services.cli.stack_env import grpc_target
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import Change
from tests.support.emulator import AdminClient
from tests.support.postgres import settings_in
from tests.support.stacks import own_env

# The provider takes ten times as many at once, so that an excess of ours would show.
SLOTS: Mapping[str, int] = {"alpha": 3, "beta": 5, "gamma": 2}
KEYS: Mapping[str, str] = {name: f"{number:032d}" for number, name in enumerate(SLOTS, 101)}


@dataclass
class Rig:
    """A running stack, a client of all its services, and the emulator's admin API."""

    stack: Stack
    client: EtapaClient
    admin: AdminClient
    http: aiohttp.ClientSession
    time_scale: float
    changes: list[Change]

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Run a query on the stack's database, on a connection of its own."""
        conn = await asyncpg.connect(self.stack.database_url, timeout=10)
        try:
            return list(await conn.fetch(query, *args, timeout=30))
        finally:
            await conn.close()

    @property
    def slots(self) -> dict[str, int]:
        """Return our slots by provider key."""
        return {KEYS[name]: count for name, count in SLOTS.items()}

    @property
    def gateway(self) -> str:
        """Return the base URL of the webhook gateway."""
        return f"http://{self.stack.address('webhook')}"


def runnable() -> tuple[Service, ...]:
    """Return the services of the table that can be started."""
    return tuple(one for one in SERVICES if find_spec(f"{one.run}.__main__") is not None)


@asynccontextmanager
async def running_rig(
    home: Path,
    *,
    time_scale: float,
    replicas: Mapping[str, int] | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Rig]:
    """Run everything on free ports; `env` goes to every service."""
    ports = PortBlock()
    addresses = Addresses.from_ports(ports)
    settings = StackSettings(
        home=home,
        postgres=settings_in(home / "postgres"),
        addresses=addresses,
        services=runnable(),
        replicas=dict(replicas or {}),
        env={**own_env(), **_emulator_env(), "ETAPA_TIME_SCALE": str(time_scale), **(env or {})},
        accounts=_accounts(f"http://{addresses.emulator}"),
    )
    changes: list[Change] = []
    try:
        async with Stack(settings, changes.append) as stack:
            await stack.wait_ready(90)
            async with _client(stack) as client, aiohttp.ClientSession() as http:
                admin = AdminClient(f"http://{stack.address('emulator_admin')}", http)
                yield Rig(stack, client, admin, http, time_scale, changes)
    finally:
        ports.close()


def _client(stack: Stack) -> EtapaClient:
    return EtapaClient(
        queue=_target(stack, "queue"),
        tools=_target(stack, "tools"),
        observability=_target(stack, "observability"),
        caller="e2e",
    )


def _target(stack: Stack, service: str) -> str:
    names = [name for name in stack.names if name.partition("-")[0] == service]
    return grpc_target([stack.keeper(name).program.where for name in names])


def _accounts(base_url: str) -> str:
    accounts = [
        {"name": name, "base_url": base_url, "api_key": KEYS[name], "slots": slots}
        for name, slots in SLOTS.items()
    ]
    return json.dumps(accounts)


def _emulator_env() -> dict[str, str]:
    keys = (f"{KEYS[name]}:SHARED:{10 * slots}:10000000" for name, slots in SLOTS.items())
    return {
        "ETAPA_EMULATOR_ACCOUNTS": ",".join(keys),
        "ETAPA_EMULATOR_RENDER_FAST": "1",
        "ETAPA_EMULATOR_LOG_LEVEL": "WARNING",
    }
