"""What a start call is made of, and what of it is committed before the first byte leaves."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from opentelemetry.trace import SpanKind

from services.queue.command import BeginStart, Payload
from services.queue.recorder import INLINE_BYTES, Recorder
from services.queue.store import Work
from services.runninghub.request import NodeValue, StartRequest
from services.runtime.ids import new_id
from services.runtime.tracing import LightSpan, start_span, trace_id_of


@dataclass(frozen=True, slots=True)
class Launch:
    """A start whose "submitting" was committed with its claim: it is to be sent at once."""

    request: StartRequest
    exchange_id: UUID
    span: LightSpan


class Launcher:
    """Writes start calls. `public_url` is our gateway's, "" where there is none."""

    def __init__(self, recorder: Recorder, *, public_url: str) -> None:
        self._recorder = recorder
        self._public_url = public_url.rstrip("/")

    def request(self, work: Work, token: str, nodes: tuple[NodeValue, ...]) -> StartRequest:
        """Return the start call of an attempt; its callback URL carries the token."""
        url = f"{self._public_url}/runninghub/{token}" if self._public_url else None
        return StartRequest(
            target_id=work.submission.webapp_id,
            nodes=nodes,
            webhook_url=url,
            instance_type=work.instance_type,
        )

    async def record(
        self, work: Work, token: str, request: StartRequest, exchange_id: UUID
    ) -> Payload:
        """Return the raw record of a start call that is about to be sent."""
        return await self._recorder.outgoing(
            "start",
            "POST",
            work.base_url.rstrip("/") + request.path,
            (("Authorization", f"Bearer {work.api_key}"), ("Content-Type", "application/json")),
            request.body,
            work.attempt,
            [work.api_key, token],
            trace_id_of(work.traceparent),
            exchange_id,
        )

    async def prepare(self, work: Work, token: str) -> tuple[Launch, BeginStart] | None:
        """Prepare the start of a job that brings no media, for the commit that claims it.

        None where something has to be done between the claim and the call.
        """
        if work.submission.media:
            return None
        nodes = tuple(
            NodeValue(node.node_id, node.field_name, node.text or "")
            for node in work.submission.nodes
        )
        request = self.request(work, token, nodes)
        if len(request.body) > INLINE_BYTES:
            return None  # its record would be written to the blob store under the gate
        launch = Launch(request, new_id(), start_span_of(work))
        sent = await self.record(work, token, request, launch.exchange_id)
        traceparent = launch.span.traceparent
        begin = BeginStart(work.job_id, work.attempt, work.token_sha256, traceparent, [sent])
        return launch, begin


def start_span_of(work: Work) -> LightSpan:
    """Continue the submit's trace with the first attempt; link the later ones to it.

    A retry, maybe hours later, must not stretch the trace of the submit.
    """
    if work.attempt == 1:
        return start_span("runninghub start", parent=work.traceparent, kind=SpanKind.CLIENT)
    links = [work.traceparent, work.previous_traceparent]
    return start_span("runninghub start", parent="", links=links, kind=SpanKind.CLIENT)
