"""Etapa in other shapes: with its traces exported, and with more processes of each service."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.arena import Arena
from bench.contestant import Spec
from bench.lineup import etapa_spec
from bench.places import ROOT
from bench.result import Row, row_of

_IN_FLIGHT = 256
_WARM_UP_JOBS = 300
_SCALED = ("queue", "tools", "observability")
_COUNTS = (1, 2, 4)


async def tracing(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates with all spans exported and with none, in turn; not in the quick run."""
    if arena.amount.is_quick:
        return
    on, off, spans = [], [], 0
    jobs = 0
    for _ in range(arena.amount.rounds):
        async with _sink() as (endpoint, ended):
            spec = etapa_spec(env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
            rate, done = await _rate(arena, spec)
            on.append(rate)
            jobs += done
        spans += await ended
        off.append((await _rate(arena, etapa_spec()))[0])
    note = f"{spans / max(jobs, 1):.1f} spans a job"
    yield row_of("full work, spans exported", on, "jobs/s", note=note)
    yield row_of("full work, no spans", off, "jobs/s")
    ratios = [one / other for one, other in zip(on, off, strict=True)]
    yield row_of("tracing on against off", ratios, "x", ">= 0.9")


async def scaling(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates with 1, 2 and 4 processes of each service; nothing in the quick run."""
    if arena.amount.is_quick:
        return
    shapes = [{name: count} for name in _SCALED for count in _COUNTS if count > 1]
    shapes = [{}, *shapes, *(dict.fromkeys(_SCALED, count) for count in _COUNTS if count > 1)]
    found: list[list[float]] = [[] for _ in shapes]
    for _ in range(min(arena.amount.rounds, 3)):
        for shape, rates in zip(shapes, found, strict=True):
            rates.append((await _rate(arena, etapa_spec(replicas=shape)))[0])
    for shape, rates in zip(shapes, found, strict=True):
        told = ", ".join(f"{count} {name}" for name, count in shape.items()) or "one of each"
        yield row_of(f"full work by processes: {told}", rates, "jobs/s")


async def _rate(arena: Arena, spec: Spec) -> tuple[float, int]:
    """Return jobs a second, and how many jobs were run in all."""
    async with arena.contestant(spec) as etapa:
        warm = await etapa.do("run", jobs=_WARM_UP_JOBS, in_flight=_IN_FLIGHT)
        jobs = max(int(_WARM_UP_JOBS / warm["seconds"] * arena.amount.seconds), _WARM_UP_JOBS)
        answer = await etapa.do("run", jobs=jobs, in_flight=_IN_FLIGHT)
    return float(jobs / answer["seconds"]), _WARM_UP_JOBS + jobs


@asynccontextmanager
async def _sink() -> AsyncIterator[tuple[str, asyncio.Future[int]]]:
    """Run a collector; the future holds how many spans it got, once it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.otlp_sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    assert process.stdout is not None  # noqa: S101 - it was asked for
    spans: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    port = json.loads(await process.stdout.readline())["port"]
    try:
        yield f"http://127.0.0.1:{port}", spans
    finally:
        process.stdin.close()
        spans.set_result(json.loads(await process.stdout.readline())["spans"])
        await process.wait()
