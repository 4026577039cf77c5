"""One throw-away embedded server for a test run, and fresh databases copied from templates."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import services
from services.cli.postgres import PostgresServer, PostgresSettings
from services.cli.postgres_binaries import Binaries, list_binaries

MakeDatabase = Callable[[Sequence[str]], Awaitable[str]]
_PREFIX = "etapa-test-"
_STALE_S = 3600
_TEMPLATE_LOCK = 0x7E57
# A folder with the programs of the PostgreSQL to test on; else the one that Etapa itself takes.
_BIN_FOLDER = "ETAPA_TEST_POSTGRES_BIN"


def chosen_binaries() -> Binaries:
    """Return the PostgreSQL that tests run on. Raises RuntimeError where there is none."""
    wanted = os.environ.get(_BIN_FOLDER)
    found = list_binaries(Path(wanted).absolute() if wanted else None)
    if not found:
        raise RuntimeError(f"{_BIN_FOLDER}={wanted or ''!r}: no PostgreSQL 14 to 18 that runs")
    return found[0]


def settings_in(folder: Path) -> PostgresSettings:
    """Return the settings of a server in `folder`, of the PostgreSQL that tests run on."""
    if _BIN_FOLDER not in os.environ:
        return PostgresSettings(folder)
    return PostgresSettings(folder, bin_folder=chosen_binaries().folder)


def start_server() -> PostgresServer:
    """Start a server in a new folder of the system's temporary folder."""
    remove_stale_folders()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)) / "postgres"
    server = PostgresServer(settings_in(folder))
    server.start()
    return server


def stop_server(server: PostgresServer) -> None:
    """Stop the server and remove its folder."""
    server.stop()
    shutil.rmtree(server.folder.parent, ignore_errors=True)


def remove_stale_folders() -> None:
    """Remove what killed test runs left: old folders whose lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_S and _is_free(folder):
                shutil.rmtree(folder, ignore_errors=True)


def on_database(dsn: str, name: str) -> str:
    """Return the same server's DSN for another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def create_database(server: str, schemas: Sequence[str]) -> str:
    """Create a database in which the services' `schemas` are migrated; return its DSN."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(on_database(server, "postgres"))
    try:
        template = "template0"
        if schemas:
            template = await _ensure_template(connection, server, schemas)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return on_database(server, name)


async def drop_database(dsn: str) -> None:
    """Drop a database, ending whatever is still connected to it."""
    name = urlsplit(dsn).path.lstrip("/")
    connection = await asyncpg.connect(on_database(dsn, "postgres"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def _ensure_template(
    connection: asyncpg.Connection[asyncpg.Record], server: str, schemas: Sequence[str]
) -> str:
    name = "template_" + "_".join(sorted(schemas))
    await connection.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
    try:
        known = "SELECT FROM pg_database WHERE datname = $1"
        if not await connection.fetch(known, name):
            await _make_template(connection, server, name, schemas)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _TEMPLATE_LOCK)
    return name


async def _make_template(
    connection: asyncpg.Connection[asyncpg.Record],
    server: str,
    name: str,
    schemas: Sequence[str],
) -> None:
    from services.runtime.db import migrate

    partial = f"partial_{uuid.uuid4().hex}"
    await connection.execute(f'CREATE DATABASE "{partial}" TEMPLATE template0')
    for schema in schemas:
        folder = Path(services.__path__[0]) / schema / "migrations"
        await migrate(on_database(server, partial), schema, folder)
    # Renamed when whole: a run killed in the middle leaves no half-migrated template.
    await connection.execute(f'ALTER DATABASE "{partial}" RENAME TO "{name}"')


def _is_free(folder: Path) -> bool:
    with (folder / "postgres" / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
