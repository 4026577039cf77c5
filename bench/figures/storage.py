"""The storage layers of queue and observability alone, against the ceiling."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bench.arena import Arena
from bench.contestant import Spec
from bench.lineup import CEILING, STORAGE
from bench.result import Row, row_of

_WARM_UP_JOBS = 1000
_IN_FLIGHT = 500


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates of both and their ratio, round by round."""
    ours, ceiling = [], []
    for _ in range(arena.amount.rounds):
        ours.append(await _rate(arena, STORAGE))
        ceiling.append(await _rate(arena, CEILING))
    yield row_of("storage alone, no gRPC", ours, "jobs/s")
    yield row_of("ceiling beside it", ceiling, "jobs/s")
    ratios = [one / other for one, other in zip(ours, ceiling, strict=True)]
    yield row_of("storage alone against the ceiling", ratios, "x", ">= 0.6")


async def _rate(arena: Arena, spec: Spec) -> float:
    async with arena.contestant(spec) as contestant:
        warm = await contestant.do("run", jobs=_WARM_UP_JOBS, in_flight=_IN_FLIGHT)
        jobs = max(int(_WARM_UP_JOBS / warm["seconds"] * arena.amount.seconds), _WARM_UP_JOBS)
        answer = await contestant.do("run", jobs=jobs, in_flight=_IN_FLIGHT)
        checked = await contestant.do("check")
    if checked["bad"]:
        raise RuntimeError(f"{spec.name} lost something: {checked}")
    return float(answer["jobs"] / answer["seconds"])
