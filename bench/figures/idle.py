"""How soon an idle system calls the provider, from the call of its gRPC front door on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator

from bench.arena import Arena
from bench.lineup import lineup
from bench.result import Row, quantile, row_of

_JOBS, _QUICK_JOBS = 200, 60
# The peers whose front door is gRPC as well.
_COMPARED = ("graphile_worker", "procrastinate")


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield p50 and p99 of each, and Etapa's against the better of the compared peers."""
    specs = lineup(arena.amount.contestants)
    specs = {name: spec for name, spec in specs.items() if name in ("etapa", *_COMPARED)}
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    jobs = _QUICK_JOBS if arena.amount.is_quick else _JOBS
    for _ in range(arena.amount.rounds):
        for name, spec in specs.items():
            async with arena.contestant(spec) as contestant:
                await contestant.do("idle", jobs=10)
                answer = await contestant.do("idle", jobs=jobs)
            found[name, "p50"].append(quantile(answer["latencies_ms"], 0.50))
            found[name, "p99"].append(quantile(answer["latencies_ms"], 0.99))
    for (name, share), values in found.items():
        yield row_of(f"idle: submit to provider called, {name}, {share}", values, "ms")
    if "etapa" not in specs or not any(name in specs for name in _COMPARED):
        return
    for share in ("p50", "p99"):
        others = [found[name, share] for name in _COMPARED if name in specs]
        better = [min(values) for values in zip(*others, strict=True)]
        ratios = [one / other for one, other in zip(found["etapa", share], better, strict=True)]
        title = f"idle: submit to provider called against the better peer, {share}"
        yield row_of(title, ratios, "x", "<= 1.0")
