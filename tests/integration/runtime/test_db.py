"""Migrations: forward only, once each, refused where history was changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from services.runtime.db import AWAY_ERRORS, migrate, open_pool


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


async def test_migrations_are_applied_once_by_any_number_of_processes(
    database: str, tmp_path: Path
) -> None:
    folder = write(
        tmp_path, **{"0001_one": "CREATE TABLE demo.t (n int); INSERT INTO demo.t VALUES (1)"}
    )
    await asyncio.gather(*(migrate(database, "demo", folder) for _ in range(4)))
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM demo.t") == 1
    await connection.close()


async def test_a_changed_migration_is_refused(database: str, tmp_path: Path) -> None:
    await migrate(database, "demo", write(tmp_path, **{"0001_one": "SELECT 1"}))
    with pytest.raises(RuntimeError, match="write a new one instead"):
        await migrate(database, "demo", write(tmp_path, **{"0001_one": "SELECT 2"}))


async def test_a_gap_in_the_numbers_is_refused(database: str, tmp_path: Path) -> None:
    folder = write(tmp_path, **{"0001_one": "SELECT 1", "0003_three": "SELECT 3"})
    with pytest.raises(RuntimeError, match="0002 is missing"):
        await migrate(database, "demo", folder)


async def test_a_newer_database_is_refused(database: str, tmp_path: Path) -> None:
    newer = write(tmp_path, **{"0001_one": "SELECT 1", "0002_two": "SELECT 2"})
    await migrate(database, "demo", newer)
    (tmp_path / "0002_two.sql").unlink()
    with pytest.raises(RuntimeError, match="deploy the newer code"):
        await migrate(database, "demo", tmp_path)


async def test_a_failing_migration_leaves_nothing_behind(database: str, tmp_path: Path) -> None:
    folder = write(tmp_path, **{"0001_one": "CREATE TABLE demo.t (n int); SELECT 1/0"})
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database, "demo", folder)
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT to_regclass('demo.t')") is None
    await connection.close()


async def test_every_connection_commits_durably(database: str) -> None:
    pool = await open_pool(database, "test")
    async with pool.acquire() as conn:
        assert await conn.fetchval("SHOW synchronous_commit") == "on"
        assert await conn.fetchval("SHOW fsync") == "on"
        assert await conn.fetchval("SHOW application_name") == "etapa-test"
    await pool.close()


LAST_WORDS = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash\0\0"


def said(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@asynccontextmanager
async def dying_server() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """Speak just enough of Postgres's protocol for connections to open; yield DSN and lines."""
    lines: list[asyncio.StreamWriter] = []

    async def open_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size - 4)
        # AuthenticationOk, then ReadyForQuery: the connection is open and idle.
        writer.write(said(b"R", bytes(4)) + said(b"S", b"server_version\0" + b"18.0\0"))
        writer.write(said(b"Z", b"I"))
        lines.append(writer)

    async with await asyncio.start_server(open_line, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://etapa@127.0.0.1:{port}/etapa?sslmode=disable", lines
        for line in lines:
            line.close()


async def test_a_query_after_the_last_words_of_a_dying_server_finds_it_away() -> None:
    async with dying_server() as (dsn, lines):
        connection = await asyncpg.connect(dsn)
        lines[0].write(said(b"E", LAST_WORDS))
        # A second line's opening is read after these words.
        later = await asyncpg.connect(dsn)
        with pytest.raises(AWAY_ERRORS) as caught:
            await connection.fetchval("SELECT 1")
        assert isinstance(caught.value, asyncpg.InternalClientError)
        for each in (connection, later):
            each.terminate()
