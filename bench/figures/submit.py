"""Submits a second through the front door, while nothing is started: the tool is paused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import asyncpg

from bench.arena import Arena
from bench.etapa_stack import TOOL, grant_credits
from bench.load import Loader
from bench.result import Row, row_of

_LEVELS = (256, 1)


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates."""
    async with arena.etapa() as (_, client, dsn):
        await grant_credits(client)
        await client.operations.set_tool(TOOL, paused=True)
        conn = await asyncpg.connect(dsn)
        loader = Loader(client, conn)
        await loader.submit_all(200, 64)
        for in_flight in _LEVELS:
            rates = []
            for _ in range(arena.amount.rounds):
                jobs = int((200 if in_flight > 1 else 20) * arena.amount.seconds)
                began = time.monotonic()
                await loader.submit_all(jobs, in_flight)
                rates.append(jobs / (time.monotonic() - began))
            yield row_of(f"submits, {in_flight} in flight, nothing starts", rates, "RPC/s")
        await conn.close()
