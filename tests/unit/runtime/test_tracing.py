"""Trace contexts: read tolerantly, written exactly, always valid."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.runtime import tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """Record spans of this test."""
    exporter = InMemorySpanExporter()
    stop = tracing.record_to(SimpleSpanProcessor(exporter), Resource.create({}))
    yield exporter
    stop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        PARENT[:-1],
        PARENT.upper(),
        PARENT + "-extra",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "x" * 100_000,
    ],
)
def test_a_malformed_traceparent_is_none_and_never_raises(text: str) -> None:
    assert tracing.parse_traceparent(text) is None
    assert tracing.trace_id_of(text) == ""


def test_a_traceparent_survives_reading_and_writing() -> None:
    context = tracing.parse_traceparent(PARENT)
    assert context is not None
    assert tracing.format_traceparent(context) == PARENT


def test_a_later_version_of_the_header_is_read() -> None:
    assert tracing.trace_id_of("01" + PARENT[2:] + "-future") == PARENT[3:35]


def test_ids_exist_without_any_exporter() -> None:
    assert tracing.current_traceparent() == ""
    with tracing.start_span("outer") as outer:
        assert tracing.current_traceparent() == outer.traceparent
        with tracing.start_span("inner") as inner:
            assert inner.trace_id == outer.trace_id
        assert not outer.is_recording()
    assert tracing.current_traceparent() == ""
    assert tracing.parse_traceparent(tracing.new_traceparent()) is not None


def test_nothing_is_exported_without_an_endpoint() -> None:
    tracing.set_up_tracing("queue", {})()
    assert not tracing.start_span("x").is_recording()


def test_a_span_carries_parent_links_kind_and_attributes(exported: InMemorySpanExporter) -> None:
    link = tracing.new_traceparent()
    with tracing.start_span(
        "process upscaler",
        parent=PARENT,
        links=[link, "junk"],
        kind=SpanKind.CONSUMER,
        attributes={"etapa.attempt": 1},
    ):
        pass
    (span,) = exported.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT[36:52]
    assert [tracing.format_traceparent(each.context) for each in span.links] == [link]
    assert (span.kind, dict(span.attributes or {})) == (SpanKind.CONSUMER, {"etapa.attempt": 1})


def test_a_malformed_parent_starts_a_new_trace(exported: InMemorySpanExporter) -> None:
    with tracing.start_span("ambient"), tracing.start_span("root", parent="junk") as root:
        pass
    span = exported.get_finished_spans()[0]
    assert span.parent is None
    assert f'"trace_id": "0x{root.trace_id}"' in span.to_json()


async def test_cancellation_and_errors_mark_the_span(exported: InMemorySpanExporter) -> None:
    async def work() -> None:
        with tracing.start_span("work"):
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(KeyError), tracing.start_span("other"):
        raise KeyError("secret")
    kinds = [(span.attributes or {})["error.type"] for span in exported.get_finished_spans()]
    assert kinds == ["CancelledError", "KeyError"]
    statuses = {span.status.status_code for span in exported.get_finished_spans()}
    assert statuses == {StatusCode.ERROR}
    assert "secret" not in str([span.to_json() for span in exported.get_finished_spans()])


def test_a_span_of_the_past_has_its_stored_times(exported: InMemorySpanExporter) -> None:
    start = datetime(2026, 11, 24, 8, 0, 0, 123456, UTC)
    made = tracing.record_span("queued", start, start + timedelta(hours=2), parent=PARENT)
    (span,) = exported.get_finished_spans()
    assert tracing.trace_id_of(made) == PARENT[3:35]
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time == 1_795_507_200_123_456_000
    assert span.end_time - span.start_time == 7_200_000_000_000


def test_an_end_before_its_start_gives_an_empty_span(exported: InMemorySpanExporter) -> None:
    now = datetime.now(UTC)
    tracing.record_span("queued", now, now - timedelta(seconds=1))
    (span,) = exported.get_finished_spans()
    assert span.start_time == span.end_time


def test_an_unsampled_parent_is_not_recorded(exported: InMemorySpanExporter) -> None:
    with tracing.start_span("x", parent=PARENT[:-1] + "0") as span:
        assert span.traceparent.endswith("-00")
    assert exported.get_finished_spans() == ()
