"""Etapa as a deployer would set it up for a heavy load: its real processes, by its own supervisor.

Nothing here is a back door: accounts, limits and the catalogue are settings, credits are granted
by RPC.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from etapa_client import EtapaClient
from services.cli.addresses import Addresses, PortBlock
from services.cli.postgres import PostgresSettings
from services.cli.service_table import pick
from services.cli.stack import Stack
from services.cli.stack_env import grpc_target
from services.cli.stack_settings import StackSettings

TOOL = "bench_text"
SERVICES = ("observability", "queue", "tools", "webhook")
USERS = [f"user-{number:04d}" for number in range(500)]
CREDITS = 1_000_000_000
ACCOUNTS, SLOTS = 4, 250
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
_GRANTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What one run of Etapa works with. `env` is added to that of every service."""

    home: Path
    database_url: str
    provider_url: str
    replicas: Mapping[str, int] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = SERVICES


@asynccontextmanager
async def running(deployment: Deployment, ready_s: float = 60.0) -> AsyncIterator[Stack]:
    """Run the services on free ports until the block ends."""
    ports = PortBlock()
    try:
        async with Stack(stack_settings(deployment, Addresses.from_ports(ports))) as stack:
            await stack.wait_ready(ready_s)
            yield stack
    finally:
        ports.close()


def stack_settings(deployment: Deployment, addresses: Addresses) -> StackSettings:
    """Return the settings of the stack."""
    env = {
        **passed_env(),
        "ETAPA_TOOLS_CATALOG": "bench.catalog",
        "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "100000",
        **deployment.env,
    }
    return StackSettings(
        home=deployment.home,
        postgres=PostgresSettings(deployment.home / "postgres"),
        addresses=addresses,
        database_url=deployment.database_url,
        services=pick(*deployment.services),
        replicas=deployment.replicas,
        env=env,
        public_url=f"http://{addresses.webhook}",
        accounts=accounts_setting(deployment.provider_url),
    )


def passed_env() -> dict[str, str]:
    """Return what of this process's environment the services get."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def client_of(stack: Stack) -> EtapaClient:
    """Return a client of all services of the stack, as another backend would make one."""
    return EtapaClient(
        queue=target(stack, "queue"),
        tools=target(stack, "tools"),
        observability=target(stack, "observability"),
        caller="bench",
    )


def target(stack: Stack, service: str) -> str:
    """Return what a channel to all processes of a service dials; empty where there is none."""
    names = [name for name in stack.names if name.partition("-")[0] == service]
    return grpc_target([stack.keeper(name).program.where for name in names]) if names else ""


async def grant_credits(client: EtapaClient) -> None:
    """Give every user enough credits, once."""
    room = asyncio.Semaphore(_GRANTS_AT_ONCE)

    async def grant(user: str) -> None:
        async with room:
            await client.credits.grant_credits(
                request_id=f"bench-{user}", user_id=user, amount=CREDITS, bucket="lifetime"
            )

    await asyncio.gather(*map(grant, USERS))


def accounts_setting(provider_url: str) -> str:
    """Return the accounts setting of the queue."""
    return json.dumps(
        [
            {
                "name": f"account-{number}",
                "base_url": provider_url,
                "api_key": f"{number:032d}",
                "slots": SLOTS,
            }
            for number in range(1, ACCOUNTS + 1)
        ]
    )
