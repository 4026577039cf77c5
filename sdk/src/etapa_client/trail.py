"""A trail as JSON: the stable contract of `etapa job ID --json` and of whoever stores trails."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import timestamp_pb2

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.names import (
    LEDGER_NAMES,
    PAYLOAD_NAMES,
    RETRY_NAMES,
    SIDE_NAMES,
    STATUS_NAMES,
    STEP_NAMES,
)

Json = dict[str, Any]


def trail_to_json(trail: trail_pb2.GetTrailResponse, job: job_pb2.Job | None = None) -> Json:
    """Return `{job, verdict, steps, attempts, payloads, ledger, notes, through_seq, …}`.

    Given the queue's `job`, its status, position and progress are believed; the history is always
    the trail's. `arriving` is the number of events that the trail does not have yet, `left_out`
    of those that it has but does not list. What does not apply (a time that is not reached, a
    position outside the queue, the failure of a job that did not fail) is null.
    """
    through_seq = trail.through_seq
    return {
        "job": _merged(trail.job, job),
        "verdict": verdict_to_json(trail.verdict) if trail.HasField("verdict") else None,
        "steps": [_step(step) for step in trail.steps],
        "attempts": [_attempt(attempt) for attempt in trail.attempts],
        "payloads": [_payload(info) for info in trail.payloads],
        "ledger": [_ledger(entry) for entry in trail.ledger],
        "notes": [_note(note) for note in trail.notes],
        "through_seq": through_seq,
        "arriving": max(job.seq - through_seq, 0) if job is not None else 0,
        "left_out": trail.left_out,
    }


def job_to_json(job: job_pb2.Job) -> Json:
    """Return the `job` object of a trail from what the queue knows."""
    progress = job.progress
    return {
        "id": job.job_id,
        "tool": job.tool,
        "variant": job.variant,
        "user_id": job.user_id,
        "status": STATUS_NAMES.get(job.status, str(int(job.status))),
        "current_step": _step_name(job.current_step),
        "failed_at_step": _step_name(job.failed_at_step) or None,
        "error_message": job.error_message or None,
        "error_class": job.error_class or None,
        "position": job.position or None,
        "progress": {"percent": progress.percent, "estimated": progress.estimated}
        if job.HasField("progress")
        else None,
        "attempt": job.attempt,
        "task_id": job.task_id or None,
        "cost": job.cost,
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at),
        "completed_at": rfc3339(job.completed_at),
        "cancel_requested_at": rfc3339(job.cancel_requested_at),
        "retry_of": job.retry_of or None,
        "output_url": job.output_url or None,
        "outputs": [_output(output) for output in job.outputs],
        "inputs": parsed(job.input_json),
        "trace_id": job.trace_id,
    }


def summary_to_json(summary: trail_pb2.JobSummary) -> Json:
    """Return the `job` object of a trail from what observability knows."""
    return {
        "id": summary.job_id,
        "tool": summary.tool,
        "variant": summary.variant,
        "user_id": summary.user_id,
        "status": STATUS_NAMES.get(summary.status, str(int(summary.status))),
        "current_step": _step_name(summary.current_step),
        "failed_at_step": _step_name(summary.failed_at_step) or None,
        "error_message": summary.error_message or None,
        "error_class": summary.error_class or None,
        "position": None,
        "progress": None,
        "attempt": summary.attempt,
        "task_id": summary.task_id or None,
        "account": summary.account or None,
        "cost": summary.cost,
        "created_at": rfc3339(summary.created_at),
        "started_at": rfc3339(summary.started_at),
        "completed_at": rfc3339(summary.completed_at),
        "cancel_requested_at": None,
        "retry_of": summary.retry_of or None,
        "output_url": summary.output_url or None,
        "outputs": [_output(output) for output in summary.outputs],
        "inputs": parsed(summary.input_json),
        "trace_id": summary.trace_id,
    }


def verdict_to_json(verdict: trail_pb2.Verdict) -> Json:
    """Return the verdict; texts as `{"pt": …, "en": …}`, money in whole credits."""
    return {
        "class": verdict.error_class,
        "side": SIDE_NAMES.get(verdict.side, ""),
        "message": {"pt": verdict.message.pt, "en": verdict.message.en},
        "advice": {"pt": verdict.advice.pt, "en": verdict.advice.en},
        "retry": RETRY_NAMES.get(verdict.retry, ""),
        "money": {
            "charged": verdict.charged,
            "returned": verdict.returned,
            "captured": verdict.captured,
        },
        "provider_words": verdict.provider_words,
        "evidence_payload_id": verdict.evidence_payload_id,
        "evidence_path": verdict.evidence_path,
    }


def rfc3339(moment: timestamp_pb2.Timestamp) -> str | None:
    """Write a time as UTC with microseconds and Z; None where it is unset."""
    if not moment.seconds and not moment.nanos:
        return None
    return moment.ToDatetime().isoformat(timespec="microseconds") + "Z"


def parsed(text: str) -> Any:
    """Read JSON that the protos carry as text; text that is none stays text, empty is `{}`."""
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def _merged(summary: trail_pb2.JobSummary, job: job_pb2.Job | None) -> Json:
    known = summary_to_json(summary)
    if job is None:
        return known
    merged = {**known, **job_to_json(job)}
    # An answer of the queue may leave these out (they are large, or of an earlier attempt).
    for name in ("outputs", "output_url", "inputs", "task_id"):
        merged[name] = merged[name] or known[name]
    return merged


def _step_name(step: job_pb2.Step.ValueType) -> str:
    return STEP_NAMES.get(step, str(int(step)))


def _output(output: job_pb2.Output) -> Json:
    return {
        "url": output.url,
        "provider_url": output.provider_url,
        "sha256": output.sha256,
        "bytes": output.bytes,
        "content_type": output.content_type,
        "node_id": output.node_id,
        "text": output.text,
    }


def _step(record: trail_pb2.StepRecord) -> Json:
    return {
        "seq": record.seq,
        "step": _step_name(record.step),
        "timestamp": rfc3339(record.timestamp),
        "attempt": record.attempt,
        "details": parsed(record.details_json),
        "trace_id": record.trace_id,
    }


def _attempt(record: trail_pb2.AttemptRecord) -> Json:
    return {
        "number": record.number,
        "account": record.account,
        "phase": record.phase,
        "task_id": record.task_id,
        "outcome": record.outcome,
        "class": record.error_class,
        "claimed_at": rfc3339(record.claimed_at),
        "submitted_at": rfc3339(record.submitted_at),
        "accepted_at": rfc3339(record.accepted_at),
        "ended_at": rfc3339(record.ended_at),
        "coins": record.coins,
        "money": record.money,
        "task_cost_time": record.task_cost_time,
    }


def _payload(info: event_pb2.PayloadInfo) -> Json:
    latency = info.latency.ToTimedelta().total_seconds() if info.HasField("latency") else None
    return {
        "payload_id": info.payload_id,
        "kind": PAYLOAD_NAMES.get(info.kind, ""),
        "call": info.call,
        "exchange_id": info.exchange_id,
        "attempt": info.attempt,
        "method": info.method,
        "url": info.url,
        "http_status": info.http_status,
        "headers": [[header.name, header.value] for header in info.headers],
        "occurred_at": rfc3339(info.occurred_at),
        "latency_s": latency,
        "transport": info.transport,
        "transport_error": info.transport_error,
        "bytes": info.bytes,
        "sha256": info.sha256.hex(),
        "masked": [[span.start, span.end] for span in info.masked],
        "content_type": info.content_type,
        "deciding": info.deciding,
        "repeats": info.repeats,
        "last_repeat_at": rfc3339(info.last_repeat_at),
        "trace_id": info.trace_id,
        "truncated": info.truncated,
    }


def _ledger(record: trail_pb2.LedgerRecord) -> Json:
    return {
        "seq": record.seq,
        "kind": LEDGER_NAMES.get(record.kind, ""),
        "amount": record.amount,
        "bucket": record.bucket,
        "timestamp": rfc3339(record.timestamp),
    }


def _note(record: trail_pb2.NoteRecord) -> Json:
    return {
        "seq": record.seq,
        "code": record.code,
        "text": record.text,
        "details": parsed(record.details_json),
        "timestamp": rfc3339(record.timestamp),
        "attempt": record.attempt,
    }
