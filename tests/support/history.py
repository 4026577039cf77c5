"""Builds histories for tests of observability: events as the queue would send them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import credits_pb2, job_pb2, operations_pb2
from services.runtime.ids import new_id

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OOM_WORDS = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9.50 GiB"
OOM_REPLY = msgspec.json.encode(
    {"status": "FAILED", "failedReason": {"exception_message": OOM_WORDS}}
)
OK_REPLY = b'{"status": "SUCCESS", "results": [{"url": "https://provider/o.png"}]}'
CALLBACK = b'{"event": "TASK_END", "taskId": "1999", "eventData": "{}"}'
OUTPUT_URL = "https://etapa.example/media/out.png"


class History:
    """One job's events, numbered as they are added."""

    def __init__(self, tool: str = "upscaler", user_id: str = "user-1") -> None:
        self.job_id = str(new_id())
        self.trace_id = hashlib.md5(self.job_id.encode(), usedforsecurity=False).hexdigest()
        self.request_id = f"request-{self.job_id}"
        self.task_id = str(UUID(self.job_id).int % 10**19)
        self.tool = tool
        self.user_id = user_id
        self.events: list[event_pb2.Event] = []

    def add(self, attempt: int = 0, **kind: Any) -> event_pb2.Event:
        """Add one event a tenth of a second after its predecessor."""
        event = event_pb2.Event(
            job_id=self.job_id,
            seq=len(self.events) + 1,
            attempt=attempt,
            trace_id=self.trace_id,
            **kind,
        )
        event.occurred_at.FromDatetime(START + timedelta(milliseconds=100 * event.seq))
        self.events.append(event)
        return event

    def step(self, step: str, status: str, attempt: int = 0, /, **more: Any) -> event_pb2.Event:
        """Add a step with its details; `facts`, `failure` and `outputs` go into their fields."""
        fields = {name: more.pop(name) for name in ("facts", "failure", "outputs") if name in more}
        return self.add(
            attempt,
            step=event_pb2.StepEvent(
                step=job_pb2.Step.Value(f"STEP_{step.upper()}"),
                status=job_pb2.JobStatus.Value(f"JOB_STATUS_{status.upper()}"),
                details_json=msgspec.json.encode(more).decode() if more else "",
                **fields,
            ),
        )

    def ledger(self, kind: str, amount: int = 60) -> event_pb2.Event:
        """Add a movement of credits."""
        number = credits_pb2.LedgerKind.Value(f"LEDGER_KIND_{kind.upper()}")
        return self.add(ledger=event_pb2.LedgerEvent(kind=number, amount=amount, bucket="monthly"))

    def change(self, phase: str, **fields: Any) -> event_pb2.Event:
        """Add a change of attempt 1."""
        change = event_pb2.AttemptEvent(number=1, account="main", phase=phase, **fields)
        return self.add(1, attempt_change=change)

    def reply(self, body: bytes, call: str = "query", **info: Any) -> str:
        """Add a provider's reply; return its payload id."""
        payload_id = str(new_id())
        described = payload_info(payload_id, event_pb2.PAYLOAD_KIND_RESPONSE, body, call, **info)
        self.add(1, payload=event_pb2.PayloadEvent(info=described, body=body))
        return payload_id

    def callback(self, delivery_id: str | None = None) -> str:
        """Add the news that a callback is this job's; return its delivery id."""
        delivery_id = delivery_id or str(new_id())
        info = event_pb2.PayloadInfo(
            payload_id=delivery_id, kind=event_pb2.PAYLOAD_KIND_CALLBACK, attempt=1
        )
        self.add(1, payload=event_pb2.PayloadEvent(info=info, delivery_id=delivery_id))
        return delivery_id

    def facts(self) -> event_pb2.JobFacts:
        """Return what never changes about the job."""
        return event_pb2.JobFacts(
            tool=self.tool,
            user_id=self.user_id,
            cost=60,
            input_json='{"resolution":2048}',
            request_id=self.request_id,
        )


def queued(tool: str = "upscaler", user_id: str = "user-1") -> History:
    """Return a job that waits in the queue: five steps and its reserve."""
    job = History(tool, user_id)
    job.step("upload", "pending", facts=job.facts(), fileName="photo.jpg", bytes=1234)
    job.step("insert", "pending", tool=tool, inputs={"resolution": 2048})
    job.step("credits", "pending", cost=60, newBalance=940)
    job.ledger("reserve")
    job.step("queue_check", "pending", slotsAvailable=0, globalRunning=7, queueLength=1)
    job.step("queued", "queued", position=2)
    return job


def running(tool: str = "upscaler", user_id: str = "user-1") -> History:
    """Return a job that the provider has accepted."""
    job = queued(tool, user_id)
    job.step("starting", "starting", 1, webappId="2037", accountName="main", attempt=1)
    job.change("claimed", slot=1)
    job.change("submitting")
    job.reply(b'{"taskId": "1999", "status": "RUNNING"}', "start")
    job.change("accepted", task_id=job.task_id)
    job.step("running", "running", 1, taskId=job.task_id)
    return job


def completed(tool: str = "upscaler", user_id: str = "user-1") -> tuple[History, str]:
    """Return a job that completed after a callback, and the callback's delivery id."""
    job = running(tool, user_id)
    delivery_id = job.callback()
    job.reply(OK_REPLY, deciding=True)
    job.step("webhook_received", "running", 1, event="TASK_END", taskStatus="SUCCESS")
    output = job_pb2.Output(url=f"{OUTPUT_URL}?sig=1", provider_url="https://provider/o.png?x=2")
    job.change("ended", task_id=job.task_id, outcome="succeeded", coins="3")
    job.step("completed", "completed", 1, outputs=[output], outputUrl=output.url)
    job.ledger("capture")
    return job, delivery_id


def failed(tool: str = "upscaler", user_id: str = "user-1") -> tuple[History, str]:
    """Return a job that ran out of GPU memory, and the id of the reply that proves it."""
    job = running(tool, user_id)
    evidence = job.reply(OOM_REPLY, deciding=True)
    job.step("webhook_received", "running", 1, event="POLL", taskStatus="FAILED")
    job.change("ended", task_id=job.task_id, outcome="failed", error_class="gpu_oom")
    failure = event_pb2.Failure(
        at_step=job_pb2.STEP_RUNNING,
        error_class="gpu_oom",
        message=OOM_WORDS,
        evidence_payload_id=evidence,
        evidence_path="$.failedReason.exception_message",
    )
    job.step(
        "failed", "failed", 1, failure=failure, error=OOM_WORDS, at_step="running", **{"class": "x"}
    )
    job.ledger("refund")
    return job, evidence


def payload_info(
    payload_id: str,
    kind: event_pb2.PayloadKind.ValueType,
    body: bytes,
    call: str = "callback",
    **more: Any,
) -> event_pb2.PayloadInfo:
    """Return the description of a payload."""
    info = event_pb2.PayloadInfo(
        payload_id=payload_id,
        kind=kind,
        call=call,
        method="POST",
        url="https://provider/call",
        http_status=200,
        headers=[event_pb2.Header(name="X-Trace", value="abc")],
        transport="replied",
        bytes=len(body),
        sha256=hashlib.sha256(body).digest(),
        content_type="application/json",
        **more,
    )
    info.occurred_at.FromDatetime(START)
    return info


def delivery(delivery_id: str, body: bytes = CALLBACK) -> intake_pb2.Delivery:
    """Return a callback as the gateway tells of it."""
    info = payload_info(delivery_id, event_pb2.PAYLOAD_KIND_CALLBACK, body)
    return intake_pb2.Delivery(info=info, body=body)


def catalogue(*tools: str) -> list[operations_pb2.ToolAnnouncement]:
    """Return announcements of tools whose views are `<tool>_jobs`."""
    return [
        operations_pb2.ToolAnnouncement(
            name=tool,
            view=f"{tool}_jobs",
            label_pt=tool,
            label_en=tool,
            variants=[operations_pb2.VariantPrice(credits=60)],
        )
        for tool in tools
    ]
