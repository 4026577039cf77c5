"""The one Postgres of a benchmark: Etapa's own embedded server, as durable as it always is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.places import HOME, LOGS
from bench.statements import SQL
from services.cli.postgres import SERVER_OPTIONS, PostgresServer, PostgresSettings

__all__ = ["SERVER_OPTIONS", "BenchServer"]


class BenchServer:
    """A server with a database for each contestant. Use it as a context manager."""

    def __init__(self) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        folder = HOME / "postgres"
        self._server = PostgresServer(PostgresSettings(folder, log=LOGS / "postgres.log"))

    def __enter__(self) -> BenchServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def pid(self) -> int:
        """Return the postmaster's process id."""
        process = self._server.process
        if process is None:
            raise RuntimeError("the benchmark's server does not run")
        return process.pid

    def dsn(self, database: str) -> str:
        """Return the DSN of a database of this server."""
        return urlunsplit(urlsplit(self._server.dsn)._replace(path=f"/{database}"))

    async def create(self, database: str) -> str:
        """Make an empty database, dropping an earlier one of that name; return its DSN."""
        await self.drop(database)
        await self._run(f'CREATE DATABASE "{database}" TEMPLATE template0')
        return self.dsn(database)

    async def drop(self, database: str) -> None:
        """Drop a database, whoever is connected."""
        await self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    async def has(self, database: str) -> bool:
        """Tell whether there is such a database."""
        return bool(await self.fetch("postgres", SQL["find_database"], database))

    async def databases(self, beginning: str) -> list[str]:
        """Return the databases whose names begin so."""
        rows = await self.fetch("postgres", SQL["list_databases"], beginning)
        return [row["datname"] for row in rows]

    async def copy(self, source: str, database: str) -> str:
        """Make a database as a copy of another; return its DSN."""
        await self.drop(database)
        await self._run(f'CREATE DATABASE "{database}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return self.dsn(database)

    async def rename(self, database: str, name: str) -> None:
        """Give a database its final name, as when it is filled whole."""
        await self._run(f'ALTER DATABASE "{database}" RENAME TO "{name}"')

    async def fetch(self, database: str, query: str, *values: Any) -> list[asyncpg.Record]:
        """Run one query on a connection of its own."""
        conn = await asyncpg.connect(self.dsn(database))
        try:
            return list(await conn.fetch(query, *values))
        finally:
            await conn.close()

    async def _run(self, command: str) -> None:
        conn = await asyncpg.connect(self.dsn("postgres"))
        try:
            await conn.execute(command, timeout=600)
        finally:
            await conn.close()
