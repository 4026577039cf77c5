"""Our encoder of spans writes what the standard one writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services.runtime.otlp import encode

RESOURCE = Resource.create({"service.name": "etapa-test", "service.replica": 3})
SCOPE = InstrumentationScope("etapa")

plain = st.one_of(st.text(max_size=200), st.booleans(), st.integers(-(2**63), 2**63 - 1))
numbers = st.floats(allow_nan=False)
values = st.one_of(plain, numbers, st.lists(st.text(max_size=5), max_size=3).map(tuple))
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(1)),
)
statuses = st.one_of(
    st.just(Status(StatusCode.UNSET)),
    st.just(Status(StatusCode.OK)),
    st.builds(Status, st.just(StatusCode.ERROR), st.none() | st.text(max_size=20)),
)
spans = st.builds(
    ReadableSpan,
    name=st.text(max_size=40),
    context=contexts,
    parent=st.none() | contexts,
    resource=st.just(RESOURCE),
    attributes=st.dictionaries(st.sampled_from(["a", "b.c", "1", "é"]), values, max_size=4),
    links=st.lists(contexts.map(Link), max_size=2).map(tuple),
    kind=st.sampled_from(SpanKind),
    instrumentation_scope=st.just(SCOPE),
    status=statuses,
    start_time=st.integers(0, 2**63),
    end_time=st.integers(0, 2**63),
)


@given(st.lists(spans, min_size=1, max_size=4))
def test_spans_are_encoded_as_the_standard_encoder_does(some: list[ReadableSpan]) -> None:
    assert encode(some) == encode_spans(some)
