"""Etapa as a contestant: its services as `etapa up` runs them; this process is the client.

BENCH_WORKERS is the number of queue processes. BENCH_HOME (a folder), BENCH_REPLICAS
({"queue": 2, "tools": 2}) and BENCH_ETAPA_ENV ({"OTEL_EXPORTER_OTLP_ENDPOINT": ...}) shape the
deployment for other figures and for tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from bench.answering import answer_requests
from bench.etapa_stack import Deployment, client_of, grant_credits, running
from bench.load import Loader
from bench.places import HOME
from bench.provider_client import ProviderClient
from bench.trails_check import check_trails
from etapa_client import EtapaClient


class EtapaContestant:
    """Answers the driver's requests on one running deployment."""

    def __init__(
        self,
        client: EtapaClient,
        conn: asyncpg.Connection[asyncpg.Record],
        provider: ProviderClient,
    ) -> None:
        self._client = client
        self._conn = conn
        self._provider = provider
        self._loader = Loader(client, conn)

    async def run(self, jobs: int, in_flight: int, until_told: bool = True) -> dict[str, Any]:
        """Run under load; the clock ends when every trail is whole."""
        done = await self._loader.run(jobs, in_flight, until_told=until_told)
        return {
            "seconds": done.whole_s,
            "jobs": done.jobs,
            "submitted_s": done.submitted_s,
            "completed_s": done.completed_s,
        }

    async def submit(self, jobs: int, in_flight: int) -> dict[str, Any]:
        """Submit alone; what becomes of the jobs is not waited for."""
        began = time.monotonic()
        await self._loader.submit_all(jobs, in_flight)
        return {"seconds": time.monotonic() - began, "jobs": jobs}

    async def idle(self, jobs: int) -> dict[str, Any]:
        """Submit one job at a time to an idle system, and time its way to the provider."""
        called: dict[str, int] = {}
        await self._provider.times()
        for number in range(jobs):
            ref = f"idle-{uuid.uuid4().hex}"
            called[ref] = time.monotonic_ns()
            job = await self._loader.submit(number, ref)
            await self._client.queue.wait_job(job.job_id, max_wait_s=30)
        seen = await self._provider.times()
        return {"latencies_ms": [(seen[ref] - at) / 1e6 for ref, at in called.items()]}

    async def check(self) -> dict[str, Any]:
        """Prove that all trails are whole, once everything is told."""
        await self._loader.wait_told()
        return await check_trails(self._conn)


async def main(env: Mapping[str, str]) -> None:
    """Start the deployment and answer requests until there are no more."""
    workers = int(env.get("BENCH_WORKERS", "1"))
    deployment = Deployment(
        home=Path(env.get("BENCH_HOME") or HOME / "etapa"),
        database_url=env["BENCH_DATABASE_URL"],
        provider_url=env["BENCH_PROVIDER_URL"],
        replicas=json.loads(env.get("BENCH_REPLICAS", "null")) or {"queue": workers},
        env=json.loads(env.get("BENCH_ETAPA_ENV", "{}")),
    )
    began = time.monotonic()
    async with running(deployment) as stack, client_of(stack) as client:
        ready_s = time.monotonic() - began
        await grant_credits(client)
        conn = await asyncpg.connect(deployment.database_url)
        async with ProviderClient(deployment.provider_url) as provider:
            contestant = EtapaContestant(client, conn, provider)
            handlers = {
                name: getattr(contestant, name) for name in ("run", "submit", "idle", "check")
            }
            ready = {"ready": True, "versions": _versions(), "ready_s": ready_s}
            await answer_requests(ready, handlers)
        await conn.close()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("etapa-services", "grpcio", "asyncpg", "aiohttp")}


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(os.environ))
