"""Spans of real RPCs: their names, statuses and family, and their way to a collector."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from etapa.queue.v1 import credits_pb2
from etapa_client import EtapaClient, errors
from services.runtime import errors as kinds
from services.runtime import tracing
from services.runtime.grpc_server import GrpcServer
from tests.support.servicers import SmallCredits, SmallTrail, serving

METHOD = "etapa.queue.v1.CreditsService/GetBalance"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """Record spans of this test."""
    exporter = InMemorySpanExporter()
    stop = tracing.record_to(SimpleSpanProcessor(exporter), Resource.create({}))
    yield exporter
    stop()


def client_of(server: GrpcServer) -> EtapaClient:
    """Make a traced client of one server."""
    address = f"127.0.0.1:{server.port}"
    return EtapaClient(queue=address, observability=address, tracer=tracing.ClientTracer())


def by_kind(exporter: InMemorySpanExporter) -> dict[SpanKind, ReadableSpan]:
    """Return the last span of each kind."""
    return {span.kind: span for span in exporter.get_finished_spans()}


async def test_one_call_is_two_spans_of_one_trace(exported: InMemorySpanExporter) -> None:
    async def act(_request: Any, _context: Any) -> Any:
        return credits_pb2.GetBalanceResponse()

    async with serving(SmallCredits(act)) as server, client_of(server) as etapa:
        await etapa.credits.get_balance("u")
        port = server.port
    spans = by_kind(exported)
    client, served = spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert served.parent is not None
    assert served.parent.span_id == client.context.span_id
    assert client.name == served.name == METHOD
    assert dict(client.attributes or {}) == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD,
        "rpc.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert served.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (kinds.NotFoundError("No."), "NOT_FOUND"),
        (RuntimeError("secret"), "INTERNAL"),
        (None, "DATA_LOSS"),
    ],
)
async def test_a_failed_call_marks_both_spans(
    exported: InMemorySpanExporter, error: Exception | None, code: str
) -> None:
    async def act(_request: Any, context: Any) -> Any:
        if error is not None:
            raise error
        await context.abort(grpc.StatusCode.DATA_LOSS, "own abort")

    async with serving(SmallCredits(act)) as server, client_of(server) as etapa:
        with pytest.raises(errors.EtapaError):
            await etapa.credits.get_balance("u")
    for span in exported.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        attributes = span.attributes or {}
        assert (attributes["rpc.status_code"], attributes["error.type"]) == (code, code)
        assert "secret" not in span.to_json()
    assert len(exported.get_finished_spans()) == 2


async def test_a_cancelled_call_ends_both_spans_as_cancelled(
    exported: InMemorySpanExporter,
) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def act(_request: Any, _context: Any) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(SmallCredits(act)) as server, client_of(server) as etapa:
        task = asyncio.create_task(etapa.credits.get_balance("u"))
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        await asyncio.wait_for(ended.wait(), 5)
    spans = exported.get_finished_spans()
    codes = [(span.attributes or {})["rpc.status_code"] for span in spans]
    assert codes == ["CANCELLED", "CANCELLED"]


async def test_a_call_that_ran_out_of_time_ends_its_server_span_too(
    exported: InMemorySpanExporter,
) -> None:
    ended = asyncio.Event()

    async def act(request: Any, _context: Any) -> Any:
        if request.user_id == "first":
            return credits_pb2.GetBalanceResponse()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(SmallCredits(act)) as server, client_of(server) as etapa:
        # On a busy machine, connecting alone may take longer than the short deadline below.
        await etapa.credits.get_balance("first", timeout_s=20)
        exported.clear()
        with pytest.raises(errors.DeadlineExceededError):
            await etapa.credits.get_balance("u", timeout_s=1)
        await asyncio.wait_for(ended.wait(), 5)
    spans = exported.get_finished_spans()
    codes = {span.kind.name: (span.attributes or {})["rpc.status_code"] for span in spans}
    assert codes == {"CLIENT": "DEADLINE_EXCEEDED", "SERVER": "CANCELLED"}


async def test_a_repeated_call_is_one_client_span(exported: InMemorySpanExporter) -> None:
    calls = 0

    async def act(_request: Any, _context: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise kinds.UnavailableError("Soon.")
        return credits_pb2.GetBalanceResponse()

    async with serving(SmallCredits(act)) as server, client_of(server) as etapa:
        await etapa.credits.get_balance("u")
    found = [span.kind for span in exported.get_finished_spans()]
    assert sorted(kind.name for kind in found) == ["CLIENT", "SERVER", "SERVER"]


async def test_a_stream_is_one_span_however_many_messages(exported: InMemorySpanExporter) -> None:
    async with serving(SmallTrail(last=50)) as server, client_of(server) as etapa:
        assert len([event async for event in etapa.trail.watch("j")]) == 50
    assert len(exported.get_finished_spans()) == 2


async def test_health_is_not_traced(exported: InMemorySpanExporter) -> None:
    async with (
        serving(SmallTrail()) as server,
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
    assert exported.get_finished_spans() == ()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Keep."""
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_spans_reach_a_collector_by_the_standard_variables() -> None:
    collector = Collector()
    server = GrpcServer("127.0.0.1:0")
    server.add(
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
        collector,
        "opentelemetry.proto.collector.trace.v1.TraceService",
    )
    endpoint = f"http://127.0.0.1:{await server.start()}"
    flush = tracing.set_up_tracing("queue", {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    with tracing.start_span("process upscaler", attributes={"n": 1}) as span:
        pass
    await asyncio.to_thread(flush)
    await server.stop(0)
    (resource_spans,) = collector.requests[0].resource_spans
    names = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
    (sent,) = resource_spans.scope_spans[0].spans
    assert names["service.name"] == "etapa-queue"
    assert (sent.name, sent.trace_id.hex()) == ("process upscaler", span.trace_id)


async def test_an_absent_collector_delays_the_end_by_little() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    flush = tracing.set_up_tracing("queue", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint})
    with tracing.start_span("x"):
        pass
    before = time.monotonic()
    await asyncio.wait_for(asyncio.to_thread(flush), 20)
    assert time.monotonic() - before < tracing.FLUSH_S + 2


def test_a_protocol_that_would_be_ignored_is_refused() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    with pytest.raises(kinds.SettingsError, match="OTLP over gRPC only"):
        tracing.set_up_tracing("queue", env)
