"""What the gateway's tests share: a database with its schema, and a gateway without peers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.postgres import MakeDatabase
from tests.support.webhook_gateway import gateway_env, running_gateway
from tests.support.webhook_peers import Peers, running_peers


@dataclass(frozen=True)
class Lone:
    """A gateway whose peers are away, so that its inbox keeps what came."""

    port: int
    dsn: str


@pytest.fixture
async def dsn(make_database: MakeDatabase) -> str:
    """Return a database in which the schema of the gateway is migrated."""
    return await make_database(["webhook"])


@pytest.fixture
async def lone(dsn: str, tmp_path: Path) -> AsyncIterator[Lone]:
    """Run a gateway without peers and with little patience."""
    env = gateway_env(
        dsn,
        str(tmp_path / "blobs"),
        ETAPA_WEBHOOK_READ_TIMEOUT_S="0.5",
        ETAPA_WEBHOOK_IDLE_TIMEOUT_S="2",
    )
    async with running_gateway(env) as port:
        yield Lone(port, dsn)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Run both peers at the wire."""
    async with running_peers() as running:
        yield running


@pytest.fixture
def joined_env(dsn: str, tmp_path: Path, peers: Peers) -> dict[str, str]:
    """Return the settings of a gateway with both peers."""
    return gateway_env(
        dsn,
        str(tmp_path / "blobs"),
        ETAPA_QUEUE_ADDRESS=f"127.0.0.1:{peers.queue_port}",
        ETAPA_OBSERVABILITY_ADDRESS=f"127.0.0.1:{peers.intake_port}",
    )
