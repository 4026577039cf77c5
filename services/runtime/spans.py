"""Light spans: what the SDK's tracer would build, at a third of its cost.

Finished spans go to the processor given to `record_to`, and nowhere before that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from services.runtime.traceparent import format_traceparent, parse_traceparent

_SCOPE = InstrumentationScope("etapa")

Attributes = Mapping[str, AttributeValue]


class _Sink:
    """Where finished spans of this process go; nowhere until tracing is set up."""

    processor: SpanProcessor | None = None
    resource: Resource | None = None


_SINK = _Sink()


def record_to(processor: SpanProcessor, resource: Resource) -> Callable[[], None]:
    """Send finished spans to a processor; returns what flushes and stops it."""
    _SINK.processor, _SINK.resource = processor, resource

    def stop() -> None:
        if _SINK.processor is processor:
            _SINK.processor, _SINK.resource = None, None
        processor.shutdown()

    return stop


class LightSpan(trace.NonRecordingSpan):
    """A span of ours. `with span:` makes it current; hold it around awaits, never a yield."""

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        links: tuple[Link, ...],
        kind: SpanKind,
        attributes: Attributes | None,
        start_ns: int = 0,
    ) -> None:
        super().__init__(context)
        self._recording = _SINK.processor is not None and context.trace_flags.sampled
        if self._recording:
            self._name, self._parent, self._links, self._kind = name, parent, links, kind
            self._attributes: dict[str, AttributeValue] = dict(attributes or {})
            self._start_ns = start_ns or time.time_ns()
            self._status = Status(StatusCode.UNSET)

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """The W3C header value that names this span."""
        return format_traceparent(self.get_span_context())

    def is_recording(self) -> bool:
        """Tell whether attributes are worth computing."""
        return self._recording

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add one attribute."""
        if self._recording:
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes."""
        if self._recording:
            self._attributes.update(attributes)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set ok or error."""
        if self._recording:
            self._status = status if isinstance(status, Status) else Status(status, description)

    def link(self, traceparents: Iterable[str]) -> None:
        """Add links to the spans named; malformed ones are left out."""
        if self._recording:
            found = map(parse_traceparent, traceparents)
            self._links += tuple(Link(context) for context in found if context is not None)

    def fail(self, error_type: str, description: str = "") -> None:
        """Mark as failed, with the low-cardinality `error.type` of the conventions."""
        if self._recording:
            self._attributes["error.type"] = error_type
            self._status = Status(StatusCode.ERROR, description or None)

    def end(self, end_time: int | None = None) -> None:
        """Close the span; a second call does nothing."""
        processor = _SINK.processor
        if not self._recording or processor is None:
            return
        self._recording = False
        processor.on_end(
            ReadableSpan(
                name=self._name,
                context=self.get_span_context(),
                parent=self._parent,
                resource=_SINK.resource,
                attributes=self._attributes,
                links=self._links,
                kind=self._kind,
                instrumentation_scope=_SCOPE,
                status=self._status,
                start_time=self._start_ns,
                end_time=end_time or time.time_ns(),
            )
        )

    def __enter__(self) -> LightSpan:
        self._token = otel_context.attach(trace.set_span_in_context(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)
        if error is not None:
            self.fail(type(error).__qualname__)
        self.end()
