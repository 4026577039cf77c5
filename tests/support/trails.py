"""Trails as observability answers with them, for tests of what is made out of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf import timestamp_pb2

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2

JOB_ID = "019ab0c0-0000-7000-8000-000000000001"
T0 = datetime(2026, 11, 24, 17, 2, 11, 204_000, UTC)
OOM_WORDS = "Allocation on device 0 would exceed allowed memory.\nFree (according to CUDA): 28 MiB"


def at(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a time after T0."""
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(T0 + timedelta(seconds=seconds))
    return moment


def step(seq: int, name: str, seconds: float, details: str = "{}") -> trail_pb2.StepRecord:
    """Return a step on the timeline."""
    return trail_pb2.StepRecord(
        seq=seq,
        step=job_pb2.Step.Value(f"STEP_{name.upper()}"),
        timestamp=at(seconds),
        details_json=details,
    )


def failed_trail() -> trail_pb2.GetTrailResponse:
    """Return the trail of a job that ran out of GPU memory after 48 s at the provider."""
    return trail_pb2.GetTrailResponse(
        job=_summary(),
        verdict=_verdict(),
        steps=_steps(),
        notes=[
            trail_pb2.NoteRecord(
                seq=9,
                code="ACCOUNT_FULL",
                text="the account is full (421)",
                timestamp=at(194),
                details_json="{}",
            )
        ],
        attempts=[
            trail_pb2.AttemptRecord(
                number=1,
                account="main",
                phase="ended",
                task_id="1990712044120342283",
                outcome="failed",
                error_class="gpu_oom",
                claimed_at=at(193.6),
                ended_at=at(243.1),
                coins="3",
            )
        ],
        payloads=[
            event_pb2.PayloadInfo(
                payload_id="p-1",
                kind=event_pb2.PAYLOAD_KIND_RESPONSE,
                call="query",
                http_status=200,
                occurred_at=at(243),
                bytes=2113,
                deciding=True,
                repeats=4,
            )
        ],
        ledger=_ledger(),
        through_seq=18,
    )


def _steps() -> list[trail_pb2.StepRecord]:
    return [
        step(1, "upload", 0, '{"fileName": "foto grande.jpg", "bytes": 1200}'),
        step(3, "insert", 1.1),
        step(4, "credits", 1.108, '{"cost": 60, "newBalance": 940}'),
        step(6, "queue_check", 1.11, '{"slotsAvailable": 0}'),
        step(7, "queued", 1.111, '{"position": 2}'),
        step(8, "starting", 193.6, '{"webappId": "2037", "accountName": "main", "attempt": 1}'),
        step(12, "running", 194.9, '{"taskId": "1990712044120342283"}'),
        step(15, "webhook_received", 243.1, '{"event": "TASK_END", "hasOutput": false}'),
        step(17, "failed", 243.106, '{"at_step": "running", "class": "gpu_oom"}'),
    ]


def _ledger() -> list[trail_pb2.LedgerRecord]:
    return [
        trail_pb2.LedgerRecord(
            seq=5,
            kind=credits_pb2.LEDGER_KIND_RESERVE,
            amount=60,
            bucket="monthly",
            timestamp=at(1.108),
        ),
        trail_pb2.LedgerRecord(
            seq=18,
            kind=credits_pb2.LEDGER_KIND_REFUND,
            amount=60,
            bucket="monthly",
            timestamp=at(243.106),
        ),
    ]


def failed_job(seq: int = 18) -> job_pb2.Job:
    """Return the same job as the queue knows it."""
    return job_pb2.Job(
        job_id=JOB_ID,
        tool="upscaler",
        variant="people",
        user_id="demo",
        status=job_pb2.JOB_STATUS_FAILED,
        current_step=job_pb2.STEP_FAILED,
        failed_at_step=job_pb2.STEP_RUNNING,
        error_message=OOM_WORDS,
        error_class="gpu_oom",
        cost=60,
        created_at=at(0),
        started_at=at(193.6),
        completed_at=at(243.106),
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        seq=seq,
    )


def _summary() -> trail_pb2.JobSummary:
    return trail_pb2.JobSummary(
        job_id=JOB_ID,
        tool="upscaler",
        variant="people",
        user_id="demo",
        status=job_pb2.JOB_STATUS_FAILED,
        current_step=job_pb2.STEP_FAILED,
        failed_at_step=job_pb2.STEP_RUNNING,
        error_message=OOM_WORDS,
        error_class="gpu_oom",
        created_at=at(0),
        started_at=at(193.6),
        completed_at=at(243.106),
        cost=60,
        account="main",
        task_id="1990712044120342283",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )


def _verdict() -> trail_pb2.Verdict:
    return trail_pb2.Verdict(
        error_class="gpu_oom",
        side=trail_pb2.SIDE_PROVIDER,
        message=trail_pb2.Text(
            pt="A placa de vídeo ficou sem memória.", en="The graphics card ran out of memory."
        ),
        advice=trail_pb2.Text(pt="Tente um arquivo menor.", en="Try a smaller file."),
        retry=trail_pb2.RETRY_WORTH_CHANGED,
        charged=60,
        returned=60,
        evidence_payload_id="p-1",
        evidence_path="$.failedReason.exception_message",
        provider_words=OOM_WORDS,
    )
