"""From an event's commit to the last of 1,000 who watch its job.

The clock starts when observability acknowledges the event to its sender, which is just after its
commit, and stops when the last stream has it. All streams are in this process, whose own reading
of 1,000 messages is part of what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from bench.arena import Arena
from bench.events import Story, numbered
from bench.result import Row, quantile
from etapa.observability.v1 import event_pb2, intake_pb2
from etapa_client import EtapaClient

_WATCHERS = 1_000
_EVENTS, _QUICK_EVENTS = 100, 20
_PAUSE_S = 0.05


class _Audience:
    """Counts who has seen which event, and when the last of all had it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: dict[int, int] = {}
        self.last_at: dict[int, float] = {}
        self.complete: dict[int, asyncio.Event] = {}

    def expect(self, seq: int) -> asyncio.Event:
        """Return what is set when all have seen an event."""
        return self.complete.setdefault(seq, asyncio.Event())

    async def watch(self, client: EtapaClient, job_id: str) -> None:
        """Watch until cancelled."""
        async for event in client.trail.watch(job_id, follow=True):
            seen = self._seen[event.seq] = self._seen.get(event.seq, 0) + 1
            if seen == self._size:
                self.last_at[event.seq] = time.monotonic()
                self.expect(event.seq).set()


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the quantiles."""
    events = _QUICK_EVENTS if arena.amount.is_quick else _EVENTS
    async with arena.etapa(services=("observability",)) as (_, client, _dsn):
        latencies = await _run(client, events)
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    title = f"commit to event at the last of {_WATCHERS:,} watchers"
    note = f"over {events} events"
    yield Row(f"{title}, p50", p50, "ms", "<= 10", (p50,), note)
    yield Row(f"{title}, p99", p99, "ms", "<= 50", (p99,), note)


async def _run(client: EtapaClient, events: int) -> list[float]:
    story = Story()
    await _send(client, story.next())
    audience = _Audience(_WATCHERS)
    watching = [asyncio.create_task(audience.watch(client, story.job_id)) for _ in range(_WATCHERS)]
    async with asyncio.timeout(60):
        await audience.expect(1).wait()
    latencies = []
    for _ in range(events):
        event = story.next()
        committed = await _send(client, event)
        async with asyncio.timeout(60):
            await audience.expect(event.seq).wait()
        latencies.append(max(audience.last_at[event.seq] - committed, 0.0) * 1000)
        await asyncio.sleep(_PAUSE_S)
    for each in watching:
        each.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return latencies


async def _send(client: EtapaClient, event: event_pb2.Event) -> float:
    """Send one event; return when it was acknowledged."""

    async def requests() -> AsyncIterator[intake_pb2.RecordEventsRequest]:
        yield numbered(1, [event])

    at = 0.0
    async for _ in client.intake.record_events(requests()):
        at = time.monotonic()
    return at
