"""procrastinate: a contestant. Submit and callback defer in the transaction of their own rows.

Tuned as its docs say (3.10, read 2026-11-24):
- howto/production/concurrency: 30 jobs at a time in a worker, as in its example.
- howto/production/delete_finished_jobs: successful jobs are deleted when they finish.
- howto/production/external_connection: the job and our rows commit together.
- howto/basics/connector "Other arguments": autocommit connections, since each of its queries is
  one statement: BEGIN and COMMIT would be round trips of their own.
- discussions "Mind the size of your PostgreSQL pool": a connection for each sub-worker.
- howto/basics/worker: LISTEN/NOTIFY on, no signal handlers inside another program.
"""

from __future__ import annotations

import logging
from typing import ClassVar, TypeAlias

import procrastinate
import psycopg
import uvloop
from psycopg.rows import TupleRow

from bench.peers import host, work
from bench.peers.held import Held
from bench.peers.peer import Done, Settings
from bench.peers.python_peer import PythonPeer
from bench.peers.worker import say_ready

_CONCURRENCY = 30
_WEB_CONNECTIONS = 16
_WORKER_CONNECTIONS = 24

PsycopgConnection: TypeAlias = psycopg.AsyncConnection[TupleRow]


def _app(dsn: str, most_connections: int) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=dsn, configure=_commit_each, min_size=4, max_size=most_connections
    )
    return procrastinate.App(connector=connector)


async def _commit_each(connection: PsycopgConnection) -> None:
    await connection.set_autocommit(True)


class Procrastinate(PythonPeer):
    """Tasks start, finish and simple, deferred by name."""

    module: ClassVar[str] = "procrastinate"
    packages: ClassVar[tuple[str, ...]] = ("procrastinate", "psycopg", "asyncpg", "uvloop")
    _app: procrastinate.App
    _connections: Held[PsycopgConnection]

    async def prepare(self, settings: Settings) -> Settings:
        """Apply its schema."""
        app = _app(settings.database_url, 4)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
        return settings

    async def open(self, settings: Settings) -> None:
        """Connect."""
        self._app = _app(settings.database_url, _WEB_CONNECTIONS)
        await self.opened.enter_async_context(self._app.open_async())
        connections = []
        for _ in range(_WEB_CONNECTIONS):
            connection = await psycopg.AsyncConnection.connect(
                settings.database_url, autocommit=True
            )
            self.opened.push_async_callback(connection.close)
            connections.append(connection)
        self._connections = Held(connections)

    async def submit(self, job_id: int) -> None:
        """Keep the first steps and defer, in one transaction."""
        async with self._connections.lend() as connection, connection.transaction():
            await _keep(connection, "record_submit", job_id)
            await self._defer("start", connection, job_id=job_id)

    async def submit_simple(self, job_id: int) -> None:
        """Defer."""
        async with self._connections.lend() as connection:
            await self._defer("simple", connection, job_id=job_id)

    async def carry_on(self, job_id: int, task_id: str, body: bytes) -> None:
        """Keep the callback and defer, in one transaction."""
        async with self._connections.lend() as connection, connection.transaction():
            await _keep(connection, "record_step", job_id, 7, work.STEPS[6], "callback", body)
            await self._defer("finish", connection, job_id=job_id, task_id=task_id)

    async def _defer(self, task: str, connection: PsycopgConnection, **values: int | str) -> None:
        await self._app.configure_task(task, connection=connection).defer_async(**values)

    def work(self, settings: Settings, number: int, done: Done) -> None:
        """Run its worker."""
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        uvloop.run(_work(settings, done))


async def _keep(connection: PsycopgConnection, name: str, *values: object) -> None:
    # A raw cursor takes the $1 of our statements; procrastinate's own need the connection's.
    async with psycopg.AsyncRawCursor(connection) as cursor:
        await cursor.execute(work.SQL[name].encode(), values)


async def _work(settings: Settings, done: Done) -> None:
    store = await work.Store.connect(settings.database_url, _WORKER_CONNECTIONS)
    provider = work.Provider.open(settings.provider_url, connections=_CONCURRENCY)
    app = _app(settings.database_url, _CONCURRENCY)

    @app.task(name="start")
    async def start(job_id: int) -> None:
        await work.start(store, provider, settings.callback_url, job_id)

    @app.task(name="finish")
    async def finish(job_id: int, task_id: str) -> None:
        await work.finish(store, provider, job_id, task_id)
        done.tell()

    @app.task(name="simple")
    async def simple(job_id: int) -> None:
        await store.record_simple(job_id)
        done.tell()

    async with app.open_async():
        say_ready()
        await app.run_worker_async(
            concurrency=_CONCURRENCY,
            delete_jobs="successful",
            listen_notify=True,
            install_signal_handlers=False,
        )


PEER = Procrastinate()

if __name__ == "__main__":
    host.main("procrastinate")
