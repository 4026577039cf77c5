"""Connections to Postgres: the pool, transactions, migrations, and which errors mean "away".

Runs no query of a service; each service's `store.py` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

# What asyncpg and the socket below it raise while the server is away, restarting or full.
AWAY_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What a query meets between a dying server's last words and the end of the connection: "cannot
    # switch to state 12; another operation (2) is in progress" (asyncpg 0.31, 2026-11-24).
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
)
# A batch that lost a lock race is run again as it is.
RACE_ERRORS: tuple[type[BaseException], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
# Held while a schema is migrated; any number that nobody else uses.
_MIGRATION_LOCK = 0x65746170


def uuid_of(text: str) -> UUID:
    """Return a UUID from its 32 hex digits, hyphens allowed. Raises ValueError.

    It is the driver's own kind: made, hashed and compared several times as fast as `uuid.UUID`.
    """
    return pgproto.UUID(text)


async def open_pool(
    dsn: str,
    service: str,
    *,
    min_size: int = 1,
    max_size: int = 8,
    command_timeout_s: float = 30,
    settings: Mapping[str, str] | None = None,
) -> Pool:
    """Open a pool whose connections commit durably and carry the service's name.

    `settings` are further session settings of Postgres. Raises one of `AWAY_ERRORS` where the
    server can't be reached.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        command_timeout=command_timeout_s,
        timeout=10,
        reset=_keep_session,
        server_settings={
            "application_name": f"etapa-{service}",
            "synchronous_commit": "on",
            "timezone": "UTC",
            **(settings or {}),
        },
    )


async def _keep_session(_conn: Connection) -> None:
    """Spare a released connection asyncpg's `RESET ALL` and the like, a round trip each time.

    Nobody changes a session here, and asyncpg has rolled back by now what was left open.
    """


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Hold one connection in one transaction; commit on a clean exit."""
    async with pool.acquire() as conn, conn.transaction():
        yield conn


async def migrate(dsn: str, schema: str, folder: Path) -> None:
    """Bring a schema up to date from `NNNN_name.sql` files; forward only, each in one transaction.

    Safe to run from any number of processes at once. Refuses a file that changed after it was
    applied, and a database that is newer than this code.
    """
    files = _read_migrations(folder)
    conn = await asyncpg.connect(dsn, timeout=10)
    try:
        for number, (name, text) in enumerate(files, start=1):
            await _apply(conn, schema, number, name, text)
        known = await conn.fetchval(f'SELECT max(number) FROM "{schema}".migrations')  # noqa: S608
        if known is not None and known > len(files):
            raise RuntimeError(
                f"schema {schema} is at migration {known}, this code knows {len(files)}: "
                "deploy the newer code"
            )
    finally:
        await conn.close()


def _read_migrations(folder: Path) -> list[tuple[str, str]]:
    files = sorted(folder.glob("[0-9]*.sql"))
    for number, file in enumerate(files, start=1):
        if int(file.name.split("_")[0]) != number:
            raise RuntimeError(f"migration {file.name}: number {number:04d} is missing")
    return [(file.stem, file.read_text("utf-8")) for file in files]


async def _apply(
    conn: asyncpg.Connection[asyncpg.Record], schema: str, number: int, name: str, text: str
) -> None:
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        await conn.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await conn.execute(
            f'CREATE TABLE IF NOT EXISTS "{schema}".migrations (number int PRIMARY KEY, '
            "name text NOT NULL, text text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = await conn.fetchval(
            f'SELECT text FROM "{schema}".migrations WHERE number = $1',  # noqa: S608
            number,
        )
        if applied is None:
            await conn.execute(text)
            await conn.execute(
                f'INSERT INTO "{schema}".migrations VALUES ($1, $2, $3)',  # noqa: S608
                number,
                name,
                text,
            )
        elif applied != text:
            raise RuntimeError(
                f"migration {name} was changed after it was applied to {schema}: "
                "write a new one instead"
            )
