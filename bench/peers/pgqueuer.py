"""pgqueuer: a contestant. Submit and callback enqueue in the transaction of their own rows.

Tuned as its docs say (1.6, read 2026-11-24):
- guides/performance-tuning "Batch size": raised for short jobs.
- guides/performance-tuning "NOTIFY channel": a connection of its own, no pool, for the worker.
- guides/performance-tuning "Autovacuum tuning": `optimize_autovacuum`, which is `pgq autovac`.
- guides/performance-tuning "Durability": "durable", its default; the others may lose jobs.
- comparisons/benchmarks: the asyncpg driver, its fastest; uvloop.
- guides/shared-resources: connections and the HTTP session are made once a worker.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers import host, work
from bench.peers.peer import Done, Settings
from bench.peers.python_peer import PythonPeer
from bench.peers.worker import say_ready

_BATCH = 50
_WEB_CONNECTIONS = 16
_WORKER_CONNECTIONS = 24
_CALLS = 64


class Pgqueuer(PythonPeer):
    """Jobs of three entrypoints: start, finish, simple."""

    module: ClassVar[str] = "pgqueuer"
    packages: ClassVar[tuple[str, ...]] = ("pgqueuer", "asyncpg", "uvloop")
    _store: work.Store
    _queries: dict[asyncpg.Connection, Queries]

    async def prepare(self, settings: Settings) -> Settings:
        """Install its tables."""
        connection = await asyncpg.connect(settings.database_url)
        queries = Queries(AsyncpgDriver(connection))
        await queries.install()
        await queries.optimize_autovacuum()
        await connection.close()
        return settings

    async def open(self, settings: Settings) -> None:
        """Connect."""
        self._store = await work.Store.connect(settings.database_url, _WEB_CONNECTIONS)
        self.opened.push_async_callback(self._store.close)
        self._queries = {each: Queries(AsyncpgDriver(each)) for each in self._store.connections.all}

    async def submit(self, job_id: int) -> None:
        """Keep the first steps and enqueue, in one transaction."""
        async with self._store.connections.lend() as connection, connection.transaction():
            await connection.execute(work.SQL["record_submit"], job_id)
            await self._queries[connection].enqueue("start", str(job_id).encode())

    async def submit_simple(self, job_id: int) -> None:
        """Enqueue."""
        async with self._store.connections.lend() as connection:
            await self._queries[connection].enqueue("simple", str(job_id).encode())

    async def carry_on(self, job_id: int, task_id: str, body: bytes) -> None:
        """Keep the callback and enqueue, in one transaction."""
        async with self._store.connections.lend() as connection, connection.transaction():
            await work.keep_callback(connection, job_id, body)
            await self._queries[connection].enqueue("finish", f"{job_id} {task_id}".encode())

    def work(self, settings: Settings, number: int, done: Done) -> None:
        """Run its queue manager."""
        uvloop.run(_work(settings, done))


async def _work(settings: Settings, done: Done) -> None:
    store = await work.Store.connect(settings.database_url, _WORKER_CONNECTIONS)
    provider = work.Provider.open(settings.provider_url, connections=_CALLS)
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(settings.database_url)))

    @queuer.entrypoint("start")
    async def start(job: Job) -> None:
        await work.start(store, provider, settings.callback_url, int(job.payload or b""))

    @queuer.entrypoint("finish")
    async def finish(job: Job) -> None:
        job_id, task_id = (job.payload or b"").decode().split()
        await work.finish(store, provider, int(job_id), task_id)
        done.tell()

    @queuer.entrypoint("simple")
    async def simple(job: Job) -> None:
        await store.record_simple(int(job.payload or b""))
        done.tell()

    say_ready()
    await queuer.run(dequeue_timeout=timedelta(seconds=30), batch_size=_BATCH)


PEER = Pgqueuer()

if __name__ == "__main__":
    host.main("pgqueuer")
