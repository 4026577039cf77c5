"""What passes through the storage probe for each job: the full work's payloads, made cheaply.

The provider's words are the stub's. They are parsed once: how fast bodies are read and masked is
no part of storage.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from bench import bodies
from bench.catalog.bench_text import STANDARD, BenchInputs, plan
from etapa.observability.v1 import event_pb2
from services.observability.domain import Body
from services.observability.wire_intake import IncomingDelivery
from services.queue.command import Payload
from services.queue.domain import Node, Submission
from services.runninghub import wire
from services.runninghub.request import NodeValue, StartRequest
from services.runninghub.verdicts import Stage, classify, evidence_of
from services.runtime.ids import new_id

FIRST_TASK = 1_900_000_000_000_000_000
REPORT = wire.parse_query(bodies.succeeded(str(FIRST_TASK)), 200)
VERDICT = classify(evidence_of(Stage.RUN, REPORT))
_WEBHOOK = "http://127.0.0.1:20000/runninghub/" + "t" * 43
_HEADERS = [
    ["Content-Type", "application/json"],
    ["Content-Length", str(bodies.BODY_BYTES)],
    ["Date", "Tue, 24 Nov 2026 12:00:00 GMT"],
]


def submission_of(ref: str) -> Submission:
    """Return what the bench's tool asks for."""
    nodes = [
        Node(node.node_id, node.field_name, text=str(node.value))
        for node in plan(BenchInputs(ref=ref)).nodes
    ]
    return Submission(STANDARD.webapp_id, nodes, [])


def start_body(submission: Submission) -> bytes:
    """Return the body of the start call."""
    values = tuple(NodeValue(n.node_id, n.field_name, n.text or "") for n in submission.nodes)
    return StartRequest(target_id=submission.webapp_id, nodes=values, webhook_url=_WEBHOOK).body


def request(call: str, body: bytes) -> Payload:
    """Return the record of a request."""
    return _payload({"kind": "request", "call": call}, body)


def reply(call: str, body: bytes) -> Payload:
    """Return the record of a reply."""
    return _payload({"kind": "response", "call": call, "http_status": 200, "latency_s": 0.01}, body)


def delivery(body: bytes) -> IncomingDelivery:
    """Return a callback as the gateway would tell observability of it."""
    delivery_id = new_id()
    info = event_pb2.PayloadInfo(
        payload_id=str(delivery_id),
        kind=event_pb2.PAYLOAD_KIND_CALLBACK,
        call="callback",
        method="POST",
        url="/runninghub/" + "*" * 43,
        headers=[event_pb2.Header(name=name, value=value) for name, value in _HEADERS],
        transport="received",
        bytes=len(body),
        sha256=hashlib.sha256(body).digest(),
        content_type="application/json",
    )
    return IncomingDelivery(delivery_id, info.SerializeToString(), Body(body))


def _payload(kind: dict[str, Any], body: bytes) -> Payload:
    info = {
        **kind,
        "exchange_id": str(new_id()),
        "attempt": 1,
        "method": "POST",
        "url": "http://127.0.0.1:20000/openapi/v2/query",
        "headers": _HEADERS,
        "occurred_at": datetime.now(UTC).isoformat(),
        "transport": "replied",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "masked": [],
        "content_type": "application/json",
    }
    return Payload(new_id(), info, content=body)
