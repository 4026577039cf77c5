"""Asks a server, ours or another's, whether work can be trusted to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from services.cli.postgres_binaries import OLDEST_MAJOR, PostgresError
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself; `version` as in 180004."""

    version: int
    fsync: str
    synchronous_commit: str
    has_database: bool

    @property
    def warnings(self) -> list[str]:
        """Return, sentence by sentence, what endangers acknowledged work."""
        found = []
        if self.fsync != "on":
            found.append("fsync is off: a crash of the machine can destroy the database.")
        if self.synchronous_commit == "off":
            found.append("synchronous_commit is off: a crash can lose acknowledged jobs.")
        return found

    def check_version(self) -> None:
        """Refuse a server that our SQL does not run on."""
        if self.version < OLDEST_MAJOR * 10_000:
            raise PostgresError(
                f"ETAPA_DATABASE_URL leads to PostgreSQL {self.version // 10_000}; "
                f"{OLDEST_MAJOR} or newer is needed."
            )


async def read_facts(dsn: str, database: str) -> ServerFacts:
    """Ask the server at `dsn`, and whether it has a database of that name."""
    connection = await _connect(dsn)
    try:
        row = await connection.fetchrow(_SQL["read_server"], database)
    finally:
        await connection.close()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return ServerFacts(**dict(row))


async def ensure_database(dsn: str, database: str) -> None:
    """Create our database on an embedded server that does not have it yet."""
    parts = urlsplit(dsn)
    maintenance = urlunsplit(parts._replace(path="/postgres"))
    if (await read_facts(maintenance, database)).has_database:
        return
    connection = await _connect(maintenance)
    try:
        with suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(_SQL["create_database"])
    finally:
        await connection.close()


async def _connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        host = urlsplit(dsn).hostname or "the local socket"
        raise PostgresError(
            f"The database at {host} does not answer ({error}). Start it, or correct "
            "ETAPA_DATABASE_URL; unset it to use the embedded server."
        ) from error
