"""Whether the peers are set up as well as they can be: their small benchmark against a known one.

Each writes 8 durable records a job, without payloads, provider and RPC. Its ratio to procrastinate
must lie within 2x of the one that was measured on such a machine before (2 cores, PostgreSQL 18.4,
November 2026); a peer beyond it is set up wrongly here, or was there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from statistics import median

from bench.arena import Arena
from bench.lineup import PEER_NAMES, lineup
from bench.result import Row, row_of

# Jobs a second, medians of interleaved rounds.
KNOWN = {
    "graphile_worker": 1490.0,
    "pgqueuer": 1317.0,
    "procrastinate": 484.0,
    "celery": 375.0,
    "dbos": 40.0,
}
_BASE = "procrastinate"
_WARM_UP_JOBS = 40


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates, and how far each ratio is from the known one; nothing in the quick run."""
    specs = {name: spec for name, spec in lineup().items() if name in PEER_NAMES}
    if arena.amount.is_quick or _BASE not in specs:
        return
    rates: dict[str, list[float]] = {name: [] for name in specs}
    for _ in range(min(arena.amount.rounds, 3)):
        for name, spec in specs.items():
            async with arena.contestant(spec) as peer:
                warm = await peer.do("simple", jobs=_WARM_UP_JOBS)
                jobs = max(int(_WARM_UP_JOBS / warm["seconds"] * arena.amount.seconds), 40)
                answer = await peer.do("simple", jobs=jobs)
            rates[name].append(answer["jobs"] / answer["seconds"])
    for name, found in rates.items():
        yield row_of(f"8 records a job, nothing else, {name}", found, "jobs/s")
    for name in specs:
        if name == _BASE:
            continue
        ratio = median(rates[name]) / median(rates[_BASE])
        off = ratio / (KNOWN[name] / KNOWN[_BASE])
        title = f"{name}'s ratio to {_BASE} against the known one"
        yield Row(title, max(off, 1 / off), "x off", "<= 2", (off,), f"{ratio:.2f} here")
