"""Throughput while many jobs wait: as many completions as new submits, first in first out.

The clock ends with the last of so many completions at the queue; what is completed are the jobs
that waited before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from bench.arena import Arena
from bench.filled_backlog import ensure_backlog
from bench.lineup import etapa_spec
from bench.result import Row, row_of

_SIZES = (10_000, 100_000, 1_000_000)
_IN_FLIGHT = 256
_COPY = "bench_backlog"


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates with and without jobs that wait; nothing in the quick run."""
    if arena.amount.is_quick:
        return
    templates = {size: await ensure_backlog(arena, size) for size in _SIZES}
    found: dict[int, list[float]] = {size: [] for size in (0, *_SIZES)}
    for _ in range(min(arena.amount.rounds, 3)):
        found[0].append(await _rate(arena, ""))
        for size, template in templates.items():
            await arena.server.copy(template, _COPY)
            found[size].append(await _rate(arena, _COPY))
    await arena.server.drop(_COPY)
    for size, rates in found.items():
        yield row_of(f"completions with {size:,} jobs waiting", rates, "jobs/s")
    for size in _SIZES:
        ratios = [one / other for one, other in zip(found[size], found[0], strict=True)]
        goal = ">= 0.9" if size == max(_SIZES) else ""
        yield row_of(f"{size:,} jobs waiting against an empty queue", ratios, "x", goal)


async def _rate(arena: Arena, database: str) -> float:
    spec = etapa_spec(replicas=None)
    async with arena.contestant(spec, database=database) as etapa:
        warm = await etapa.do("run", jobs=500, in_flight=_IN_FLIGHT, until_told=False)
        jobs = max(int(500 / warm["completed_s"] * arena.amount.seconds), 500)
        answer = await etapa.do("run", jobs=jobs, in_flight=_IN_FLIGHT, until_told=False)
    return float(jobs / answer["completed_s"])
