"""One trace tells one job's story: what the queue records of its waits and calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from services.runtime.tracing import record_to, trace_id_of
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.postgres import MakeDatabase
from tests.support.queue_process import FAST, QueueProcess, running_queue
from tests.support.queue_world import open_world


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorHandle]:
    async with running_emulator(tmp_path / "emulator") as handle:
        yield handle


@pytest.fixture
async def queue(
    make_database: MakeDatabase, emulator: EmulatorHandle, tmp_path: Path
) -> AsyncIterator[QueueProcess]:
    async with open_world(await make_database(["queue"]), FAST) as world:
        await world.fetch(
            "UPDATE queue.accounts SET base_url = $1, api_key = $2", emulator.base_url, KEY
        )
        async with running_queue(world, tmp_path) as process:
            yield process


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = record_to(SimpleSpanProcessor(exporter), Resource.create({"service.name": "queue"}))
    yield exporter
    stop()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def trace_of(span: ReadableSpan) -> str:
    return f"{context_of(span).trace_id:032x}"


async def test_waits_and_calls_of_the_first_attempt_lie_in_the_jobs_trace(
    queue: QueueProcess, spans: InMemorySpanExporter
) -> None:
    job = await queue.until(await queue.run())
    trace = trace_id_of(job.traceparent)
    for name in ("queue wait", "runninghub start", "runninghub run"):
        (span,) = named(spans, name)
        assert trace_of(span) == trace, name
    start, run = named(spans, "runninghub start")[0], named(spans, "runninghub run")[0]
    assert run.parent is not None
    assert run.parent.span_id == context_of(start).span_id
    assert run.start_time is not None
    assert run.end_time is not None
    assert run.end_time > run.start_time


async def test_a_later_attempt_is_a_root_of_its_own_linked_to_the_first(
    queue: QueueProcess, spans: InMemorySpanExporter, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("fail", classes=["infra"], count=1)
    job = await queue.until(await queue.run())
    first, second = named(spans, "runninghub start")
    assert trace_of(second) != trace_of(first)
    assert second.parent is None
    linked = {link.context.span_id for link in second.links}
    assert context_of(first).span_id in linked
    assert job.attempt == 2
