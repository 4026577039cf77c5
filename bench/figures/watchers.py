"""From an event's commit to the last of 1,000 who watch its job: browsers, and gRPC clients.

The clock starts at the log line that observability writes just after the commit. (Its
acknowledgement reaches the sender about when the event reaches the last browser.) For browsers (SSE
at the console) it stops when the kernel has the data at the last socket. For gRPC it stops when
this process has read the message from the last stream, its own reading of 1,000 messages included;
that row has no goal.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from bench.arena import Arena
from bench.contestant import Contestant, Spec
from bench.events import Story, numbered
from bench.result import Row, quantile
from etapa.observability.v1 import event_pb2, intake_pb2
from etapa_client import EtapaClient

WATCHERS = 1_000
_EVENTS, _QUICK_EVENTS = 100, 20
_PAUSE_S = 0.05
_LOG_TAIL_BYTES = 64 * 1024
_BROWSERS = Spec("sse_watchers", [sys.executable, "-m", "bench.sse_watchers"])


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the quantiles of both."""
    events = _QUICK_EVENTS if arena.amount.is_quick else _EVENTS
    services = ("observability", "console")
    async with arena.etapa(services=services) as (stack, client, _dsn):
        port = int(stack.address("console").rpartition(":")[2])
        log = stack.keeper("observability").program.log
        async with Contestant(_BROWSERS, {}) as browsers:
            latencies = await _browsers(client, browsers, port, events, log)
        for row in _rows(f"commit to event at the last of {WATCHERS:,} browsers", latencies, True):
            yield row
        if not arena.amount.is_quick:
            latencies = await _grpc(client, events, log)
            title = f"commit to event read by the last of {WATCHERS:,} gRPC watchers"
            for row in _rows(title, latencies, False):
                yield row


def _rows(title: str, latencies: list[float], has_goal: bool) -> list[Row]:
    note = f"over {len(latencies)} events"
    goals = ("<= 10", "<= 50") if has_goal else ("", "")
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    return [
        Row(f"{title}, p50", p50, "ms", goals[0], (p50,), note),
        Row(f"{title}, p99", p99, "ms", goals[1], (p99,), note),
    ]


async def _browsers(
    client: EtapaClient, browsers: Contestant, port: int, events: int, log: Path
) -> list[float]:
    story = Story()
    await _send(client, story.next())
    path = f"/jobs/{story.job_id}/events?after=1"
    await browsers.do("open", timeout_s=120, port=port, path=path, count=WATCHERS)
    latencies = []
    for _ in range(events):
        event = story.next()
        await _send(client, event)
        answer = await browsers.do("wait", seq=event.seq)
        latencies.append((answer["last_ns"] - _committed_ns(log, event)) / 1e6)
        await asyncio.sleep(_PAUSE_S)
    return latencies


class _Audience:
    """Counts who has read which event, and when the last of all had it."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self.last_ns: dict[int, int] = {}
        self._complete: dict[int, asyncio.Event] = {}

    def complete(self, seq: int) -> asyncio.Event:
        """Return what is set when all have read an event."""
        return self._complete.setdefault(seq, asyncio.Event())

    async def watch(self, client: EtapaClient, job_id: str) -> None:
        """Watch until cancelled."""
        async for event in client.trail.watch(job_id, follow=True):
            seen = self._seen[event.seq] = self._seen.get(event.seq, 0) + 1
            if seen == WATCHERS:
                self.last_ns[event.seq] = time.time_ns()
                self.complete(event.seq).set()


async def _grpc(client: EtapaClient, events: int, log: Path) -> list[float]:
    story = Story()
    await _send(client, story.next())
    audience = _Audience()
    watching = [asyncio.create_task(audience.watch(client, story.job_id)) for _ in range(WATCHERS)]
    async with asyncio.timeout(60):
        await audience.complete(1).wait()
    latencies = []
    for _ in range(events):
        event = story.next()
        await _send(client, event)
        async with asyncio.timeout(60):
            await audience.complete(event.seq).wait()
        latencies.append((audience.last_ns[event.seq] - _committed_ns(log, event)) / 1e6)
        await asyncio.sleep(_PAUSE_S)
    for each in watching:
        each.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return latencies


async def _send(client: EtapaClient, event: event_pb2.Event) -> None:
    """Send one event and wait until it is acknowledged."""

    async def requests() -> AsyncIterator[intake_pb2.RecordEventsRequest]:
        yield numbered(1, [event])

    async for _ in client.intake.record_events(requests()):
        pass


def _committed_ns(log: Path, event: event_pb2.Event) -> int:
    """Return when observability logged a step that it had just committed."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _LOG_TAIL_BYTES, 0))
        lines = file.read().splitlines()
    for line in reversed(lines):
        if event.job_id.encode() in line:
            logged = json.loads(line)
            if logged["seq"] == event.seq:
                return int(datetime.fromisoformat(logged["timestamp"]).timestamp() * 1e6) * 1000
    raise RuntimeError(f"event {event.seq} is not in {log}")
