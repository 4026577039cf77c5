"""The full work: submit, queue, call, callback, verify, complete, with every step durable.

Every round runs each contestant once before the next round begins, each on an empty database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from statistics import median

from bench.arena import Arena
from bench.contestant import Contestant, Spec
from bench.lineup import PEER_NAMES, lineup
from bench.processes import cpu_by_role, spent_between
from bench.result import Row, row_of

_WARM_UP_JOBS = 300
_SLOW_JOBS_PER_S = 20.0


@dataclass(slots=True)
class _Found:
    """Jobs a second by contestant and submits in flight; CPU by process at the first level."""

    rates: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    completed: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_us: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rows of the full work."""
    specs = lineup(arena.amount.contestants)
    for workers in (1, 2):
        found = _Found()
        levels = arena.amount.in_flight if workers == 1 else arena.amount.in_flight[:1]
        if workers == 2 and arena.amount.is_quick:
            return
        for _ in range(arena.amount.rounds):
            for name, spec in specs.items():
                if workers == 1 or name != "ceiling":
                    await _run_one(arena, name, spec, workers, levels, found)
        for row in _rows(found, workers, levels):
            yield row


async def _run_one(
    arena: Arena, name: str, spec: Spec, workers: int, levels: tuple[int, ...], found: _Found
) -> None:
    async with arena.contestant(spec, workers) as contestant:
        answer = await contestant.do("run", jobs=_WARM_UP_JOBS, in_flight=levels[0])
        rate = answer["jobs"] / answer["seconds"]
        for in_flight in levels:
            rate = await _run_level(arena, name, contestant, in_flight, rate, found)
        checked = await contestant.do("check")
    if checked["bad"] or not checked["jobs"]:
        raise RuntimeError(f"{name} did not do the full work: {checked}")


async def _run_level(
    arena: Arena, name: str, contestant: Contestant, in_flight: int, rate: float, found: _Found
) -> float:
    """Run for about as long as is wanted, judged by the rate seen before; return the new rate."""
    jobs = max(int(rate * arena.amount.seconds), int(_SLOW_JOBS_PER_S))
    if in_flight == 1:
        jobs = max(jobs // 10, 20)
    before = cpu_by_role(arena.trees(contestant))
    answer = await contestant.do("run", jobs=jobs, in_flight=in_flight)
    spent = spent_between(before, cpu_by_role(arena.trees(contestant)))
    rate = jobs / answer["seconds"]
    found.rates[name, in_flight].append(rate)
    if "completed_s" in answer:
        found.completed[in_flight].append(jobs / answer["completed_s"])
    if in_flight == arena.amount.in_flight[0]:
        for role, seconds in spent.items():
            found.cpu_us[name][role].append(seconds / jobs * 1e6)
    return rate


def _rows(found: _Found, workers: int, levels: tuple[int, ...]) -> list[Row]:
    many = f", {workers} workers" if workers > 1 else ""
    rows = [
        row_of(f"full work, {name}, {in_flight} in flight{many}", rates, "jobs/s")
        for (name, in_flight), rates in found.rates.items()
    ]
    rows += [
        row_of(f"completed at the queue, etapa, {level} in flight{many}", rates, "jobs/s")
        for level, rates in found.completed.items()
    ]
    for name, roles in found.cpu_us.items():
        rows += [
            row_of(f"CPU per job, {name}: {role}{many}", spent, "µs")
            for role, spent in roles.items()
        ]
        totals = [sum(values) for values in zip(*roles.values(), strict=False)]
        rows.append(row_of(f"CPU per job, {name}: all{many}", totals, "µs"))
    return rows + _ratios(found, many, levels[0])


def _ratios(found: _Found, many: str, level: int) -> list[Row]:
    ours = found.rates.get(("etapa", level))
    if not ours:
        return []
    rows = []

    def against(name: str) -> list[float]:
        theirs = found.rates.get((name, level), [])
        return [one / other for one, other in zip(ours, theirs, strict=False)]

    if ratios := against("ceiling"):
        rows.append(row_of("full work against the ceiling", ratios, "x", ">= 0.2"))
    medians = {
        name: median(found.rates[name, level])
        for name in PEER_NAMES
        if (name, level) in found.rates
    }
    if medians:
        best = max(medians, key=lambda name: medians[name])
        title = f"full work against the best peer{many}"
        rows.append(row_of(title, against(best), "x", ">= 3", f"the best peer is {best}"))
    if ratios := against("dbos"):
        rows.append(row_of(f"full work against DBOS{many}", ratios, "x", ">= 50"))
    return rows
