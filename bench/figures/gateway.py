"""Durable 200s of the gateway against an aiohttp that stores nothing.

The gateway alone: queue and observability are away, so callbacks gather in the inbox, which is
what the answer 200 promises. Both are loaded alike by a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.arena import Arena
from bench.places import ROOT
from bench.result import Row, quantile, row_of

_CONNECTIONS = 64


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield both rates and tails, and their ratios."""
    found: dict[str, list[float]] = defaultdict(list)
    requests = int(2_000 * arena.amount.seconds)
    async with (
        arena.etapa(services=("webhook",)) as (stack, _client, _dsn),
        _parse_only() as plain_port,
    ):
        port = int(stack.address("webhook").rpartition(":")[2])
        for which in (port, plain_port):
            await _load(which, 1_000)
        for _ in range(arena.amount.rounds):
            for name, which in (("gateway", port), ("plain", plain_port)):
                answer = await _load(which, requests)
                found[name].append(requests / answer["seconds"])
                found[f"{name} p99"].append(quantile(answer["latencies_ms"], 0.99))
    yield row_of("gateway: durable 200s", found["gateway"], "requests/s")
    yield row_of("parse-only aiohttp", found["plain"], "requests/s")
    yield row_of("gateway: p99", found["gateway p99"], "ms")
    yield row_of("parse-only aiohttp: p99", found["plain p99"], "ms")
    rates = [a / b for a, b in zip(found["gateway"], found["plain"], strict=True)]
    yield row_of("gateway against parse-only aiohttp", rates, "x", ">= 0.8")
    tails = [a / b for a, b in zip(found["gateway p99"], found["plain p99"], strict=True)]
    yield row_of("gateway's p99 against parse-only aiohttp's", tails, "x", "<= 2.0")


@asynccontextmanager
async def _parse_only() -> AsyncIterator[int]:
    process = await _python("bench.parse_only")
    assert process.stdout is not None  # noqa: S101 - it was asked for
    assert process.stdin is not None  # noqa: S101 - it was asked for
    try:
        yield int(json.loads(await process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        await process.wait()


async def _load(port: int, requests: int) -> dict[str, Any]:
    process = await _python("bench.http_load")
    asked = {"port": port, "requests": requests, "connections": _CONNECTIONS}
    out, _ = await process.communicate(json.dumps(asked).encode() + b"\n")
    answer: dict[str, Any] = json.loads(out)
    if answer["bad"]:
        raise RuntimeError(f"{answer['bad']} of {requests} callbacks were not answered 200")
    return answer


async def _python(module: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=2**26,
    )
