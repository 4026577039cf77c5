"""The ground that all figures stand on: the server, the provider stub, and how much to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.contestant import Contestant, Spec
from bench.etapa_stack import SERVICES, Deployment, client_of, running
from bench.places import HOME
from bench.provider_client import ProviderProcess
from bench.server import BenchServer
from etapa_client import EtapaClient
from services.cli.stack import Stack


@dataclass(frozen=True, slots=True)
class Amount:
    """How much to do. `is_quick` leaves out what takes long to set up."""

    is_quick: bool
    rounds: int
    seconds: float  # that one measurement should last, about
    contestants: tuple[str, ...] = ()
    in_flight: tuple[int, ...] = (256, 64, 16, 1)


@dataclass(frozen=True, slots=True)
class Arena:
    """What a figure gets."""

    server: BenchServer
    provider: ProviderProcess
    amount: Amount

    @asynccontextmanager
    async def contestant(
        self, spec: Spec, workers: int = 1, database: str = ""
    ) -> AsyncIterator[Contestant]:
        """Run a contestant on an empty database of its own, or on the one that is named."""
        name = database or f"bench_{spec.name}"
        dsn = self.server.dsn(name) if database else await self.server.create(name)
        env = {
            "BENCH_DATABASE_URL": dsn,
            "BENCH_PROVIDER_URL": self.provider.url,
            "BENCH_WORKERS": str(workers),
            "BENCH_LISTEN_PORT": "0",
        }
        async with Contestant(spec, env) as contestant:
            yield contestant
        if not database:
            await self.server.drop(name)

    @asynccontextmanager
    async def etapa(
        self,
        *,
        database: str = "",
        services: Sequence[str] = SERVICES,
        env: Mapping[str, str] | None = None,
    ) -> AsyncIterator[tuple[Stack, EtapaClient, str]]:
        """Run Etapa with this process as its client; yield stack, client and DSN.

        On an empty database of its own, or on the one that is named.
        """
        dsn = self.server.dsn(database) if database else await self.server.create("bench_etapa")
        deployment = Deployment(
            home=HOME / "etapa",
            database_url=dsn,
            provider_url=self.provider.url,
            services=tuple(services),
            env=env or {},
        )
        async with running(deployment) as stack, client_of(stack) as client:
            yield stack, client, dsn
        if not database:
            await self.server.drop("bench_etapa")

    def trees(self, contestant: Contestant) -> dict[str, int]:
        """Return the roots of the process trees that work while a contestant does."""
        return {
            "postgres": self.server.pid,
            "client": contestant.pid,
            "stub": self.provider.pid,
        }
