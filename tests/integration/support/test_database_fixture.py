from __future__ import annotations

import asyncpg

from tests.support.postgres import MakeDatabase, drop_database


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_each_database_is_fresh_and_migrated(make_database: MakeDatabase) -> None:
    one, two = await make_database(["webhook"]), await make_database(["webhook"])
    for dsn in (one, two):
        assert await ask(dsn, "SELECT count(*) FROM webhook.migrations") != 0
    await ask(one, "CREATE TABLE mine ()")
    assert await ask(two, "SELECT to_regclass('mine')") is None


async def test_a_database_in_use_is_dropped_all_the_same(make_database: MakeDatabase) -> None:
    dsn = await make_database([])
    connection = await asyncpg.connect(dsn)
    await drop_database(dsn)
    connection.terminate()


async def test_test_databases_are_as_durable_as_the_real_one(database: str) -> None:
    assert await ask(database, "SHOW fsync") == "on"
    assert await ask(database, "SHOW synchronous_commit") == "on"
