"""What Etapa takes from a machine: at rest, under load, on disk, and to start."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import closing

import asyncpg

from bench.arena import Arena
from bench.contestant import Contestant
from bench.etapa_stack import SERVICES, passed_env
from bench.lineup import etapa_spec
from bench.places import HOME
from bench.processes import cpu_by_role, memory_by_role, spent_between
from bench.result import Row, row_of
from bench.statements import SQL
from services.cli.addresses import Addresses, PortBlock
from services.cli.postgres import PostgresSettings
from services.cli.service_table import SERVICES as ALL
from services.cli.stack import Stack
from services.cli.stack_settings import StackSettings

_START_UP_HOME = HOME / "start_up"
_MIB = 1024 * 1024
_IDLE_S, _QUICK_IDLE_S = 60.0, 15.0
_SETTLE_S = 5.0
_WITH_TABLES = [service.name for service in ALL if service.has_tables]


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rows of all of it."""
    async for row in _at_rest(arena):
        yield row
    async for row in _under_load(arena):
        yield row
    async for row in _start_up(arena):
        yield row


async def _at_rest(arena: Arena) -> AsyncIterator[Row]:
    idle_s = _QUICK_IDLE_S if arena.amount.is_quick else _IDLE_S
    async with arena.etapa(services=(*SERVICES, "console")) as (stack, _client, _dsn):
        trees = {**stack.pids(), "postgres": arena.server.pid}
        await asyncio.sleep(_SETTLE_S)
        held = memory_by_role(trees)
        before, seen = cpu_by_role(trees), await _transactions(arena)
        await asyncio.sleep(idle_s)
        spent = spent_between(before, cpu_by_role(trees))
        # Our own look is a transaction or two as well.
        seen = max(await _transactions(arena) - seen - 1, 0)
    for role, seconds in spent.items():
        yield Row(f"idle CPU: {role}", seconds / idle_s * 100, "% of a core")
    total = sum(spent.values()) / idle_s * 100
    yield Row("idle CPU: all services and Postgres", total, "% of a core", "<= 1.0", (total,))
    rate = seen / idle_s / len(_WITH_TABLES)
    note = f"{seen / idle_s:.1f}/s in all, over {', '.join(_WITH_TABLES)}"
    yield Row("idle: transactions/s per service with tables", rate, "1/s", "<= 2", (rate,), note)
    for role, size in held.items():
        yield Row(f"memory at rest: {role}", size / _MIB, "MiB")


async def _transactions(arena: Arena) -> int:
    rows = await arena.server.fetch("postgres", SQL["read_transactions"], "bench_etapa")
    return int(rows[0][0])


async def _under_load(arena: Arena) -> AsyncIterator[Row]:
    """Yield the highest memory seen during a run, and what its jobs take on disk."""
    async with arena.contestant(etapa_spec()) as etapa:
        warm = await etapa.do("run", jobs=300, in_flight=256)
        conn = await asyncpg.connect(arena.server.dsn("bench_etapa"))
        (before,) = await conn.fetch(SQL["measure_disk"])
        jobs = max(int(300 / warm["seconds"] * arena.amount.seconds * 2), 500)
        running = asyncio.create_task(etapa.do("run", jobs=jobs, in_flight=256))
        most = await _most_memory(arena, etapa, running)
        await running
        await conn.execute("VACUUM", timeout=300)
        await conn.execute("CHECKPOINT")
        (after,) = await conn.fetch(SQL["measure_disk"])
        ratio = await _payload_ratio(conn)
        await conn.close()
    for role, size in most.items():
        goal = "<= 150" if role in SERVICES else ""
        yield Row(f"memory under load: {role}", size / _MIB, "MiB", goal, (size / _MIB,))
    grown = (after["database"] - before["database"]) / jobs
    yield Row("disk per job, whole database", grown, "bytes", note=f"{jobs} jobs, after VACUUM")
    yield Row("payload store on disk against the raw bodies", ratio, "x", "<= 0.4", (ratio,))


async def _most_memory(
    arena: Arena, etapa: Contestant, running: asyncio.Task[object]
) -> dict[str, int]:
    most: dict[str, int] = defaultdict(int)
    while not running.done():
        for role, size in memory_by_role({"client": etapa.pid}).items():
            most[role] = max(most[role], size)
        await asyncio.wait({running}, timeout=0.5)
    return dict(most)


async def _payload_ratio(conn: asyncpg.Connection[asyncpg.Record]) -> float:
    """Return all of the payload tables' bytes, indexes included, by the bytes of raw bodies."""
    (disk,) = await conn.fetch(SQL["measure_disk"])
    raw = await conn.fetchval(SQL["measure_raw"], 5000)
    return float(disk["payloads"]) / float(raw)


async def _start_up(arena: Arena) -> AsyncIterator[Row]:
    """Start everything with an embedded server of its own: once cold, then warm."""
    shutil.rmtree(_START_UP_HOME, ignore_errors=True)
    took = []
    with closing(PortBlock()) as ports:
        settings = StackSettings(
            home=_START_UP_HOME,
            postgres=PostgresSettings(_START_UP_HOME / "postgres"),
            addresses=Addresses.from_ports(ports),
            env=passed_env(),
        )
        for _ in range(1 + max(arena.amount.rounds, 2)):
            began = time.monotonic()
            async with Stack(settings) as stack:
                await stack.wait_ready(120)
                took.append(time.monotonic() - began)
    yield Row("start-up of the whole stack, first", took[0], "s")
    yield row_of("start-up of the whole stack, warm", took[1:], "s", "<= 3")
