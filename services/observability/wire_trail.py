"""What goes out, from the domain to protos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from etapa.observability.v1 import event_pb2, trail_pb2
from services.observability.chapter import StoredEvent
from services.observability.fold import Attempt, Projection
from services.observability.store.row import JobFilter, PayloadExtra
from services.observability.trail import Payload, Trail
from services.observability.verdict import Verdict
from services.observability.wire import (
    STATUS_NUMBERS,
    STEP_NUMBERS,
    UnreadableError,
    ledger_number,
    stamp_of,
    status_from,
    step_from,
    time_of,
)
from services.runninghub.verdicts import RetryWorth, Side
from services.runtime.errors import InvalidInputError

# Below the 4 MiB that client and server take, with room for what surrounds it.
MAX_BYTES: Final = 3 * 1024 * 1024 + 512 * 1024
_SIDES: Final = {
    None: trail_pb2.SIDE_UNSPECIFIED,
    Side.USER: trail_pb2.SIDE_USER,
    Side.CONFIGURATION: trail_pb2.SIDE_CONFIGURATION,
    Side.ACCOUNT: trail_pb2.SIDE_ACCOUNT,
    Side.PROVIDER: trail_pb2.SIDE_PROVIDER,
    Side.US: trail_pb2.SIDE_US,
}
_RETRIES: Final = {
    None: trail_pb2.RETRY_WORTH_UNSPECIFIED,
    RetryWorth.NO: trail_pb2.RETRY_WORTH_NO,
    RetryWorth.AS_IS: trail_pb2.RETRY_WORTH_AS_IS,
    RetryWorth.CHANGED: trail_pb2.RETRY_WORTH_CHANGED,
}


def filter_from(request: trail_pb2.ListJobsRequest) -> JobFilter:
    """Read the filters of a list. Raises `InvalidInputError` on a value that is unknown here."""
    try:
        return JobFilter(
            user_id=request.user_id or None,
            tool=request.tool or None,
            statuses=tuple(sorted({status_from(each) for each in request.statuses})),
            failed_at_step=step_from(request.failed_at_step) if request.failed_at_step else None,
            error_class=request.error_class or None,
            created_from=time_of(request.created_from)
            if request.HasField("created_from")
            else None,
            created_to=time_of(request.created_to) if request.HasField("created_to") else None,
        )
    except UnreadableError as error:
        raise InvalidInputError(f"a filter can't be read: {error}") from error


def summary_to_proto(job: Projection) -> trail_pb2.JobSummary:
    """Return a job's summary."""
    message = trail_pb2.JobSummary(
        job_id=str(job.job_id),
        tool=job.tool,
        variant=job.variant,
        user_id=job.user_id,
        error_message=job.error_message or "",
        error_class=job.error_class or "",
        output_url=job.output_url or "",
        trace_id=(job.trace_id or b"").hex(),
        cost=job.cost,
        attempt=job.attempt,
        account=job.account,
        task_id=job.task_id,
        through_seq=job.through_seq,
        input_json=job.input_json,
        retry_of=job.retry_of,
        view=job.view,
        request_id=job.request_id,
    )
    if job.status is not None and job.current_step is not None:
        message.status = STATUS_NUMBERS[job.status]
        message.current_step = STEP_NUMBERS[job.current_step]
    if job.failed_at_step is not None:
        message.failed_at_step = STEP_NUMBERS[job.failed_at_step]
    for name in ("created_at", "started_at", "completed_at"):
        at = getattr(job, name)
        if at is not None:
            getattr(message, name).CopyFrom(stamp_of(at))
    if job.outputs is not None:
        message.outputs.extend(event_pb2.OutputsEvent.FromString(job.outputs).outputs)
    return message


def event_to_proto(event: StoredEvent) -> event_pb2.Event:
    """Return an event as it was recorded, without a payload's body."""
    message = event.message
    message.job_id, message.trace_id = str(event.job_id), event.trace_id
    return message


def trail_to_proto(trail: Trail) -> trail_pb2.GetTrailResponse:
    """Return the whole story."""
    message = trail_pb2.GetTrailResponse(
        job=summary_to_proto(trail.job),
        steps=_steps_to_proto(trail),
        attempts=map(_attempt_to_proto, trail.attempts),
        payloads=_infos_to_proto(trail),
        notes=map(_note_to_proto, trail.notes),
        through_seq=trail.job.through_seq,
        left_out=trail.left_out,
    )
    for event, change in trail.ledger:
        message.ledger.add(
            seq=event.seq,
            kind=ledger_number(change.kind),
            amount=change.amount,
            bucket=event.message.ledger.bucket,
            timestamp=event.message.occurred_at,
        )
    if trail.verdict is not None:
        message.verdict.CopyFrom(_verdict_to_proto(trail.verdict))
    _fit(message)
    return message


def _fit(message: trail_pb2.GetTrailResponse) -> None:
    """Leave out the middle of the longest lists until the message may be sent."""
    while message.ByteSize() > MAX_BYTES:
        lists: list[Any] = [message.steps, message.payloads, message.notes]
        longest = max(lists, key=lambda each: sum(one.ByteSize() for one in each))
        count = len(longest)
        del longest[count // 4 : count - count // 4]
        message.left_out += count - len(longest)


def payload_to_proto(payload: Payload) -> trail_pb2.GetPayloadResponse:
    """Return a payload with its bytes; more than a message holds is cut and said so."""
    told = event_pb2.PayloadInfo(payload_id=str(payload.payload_id))
    if payload.event is not None:
        told = payload.event.message.payload.info
    info = _merged(told, payload.info)
    _add_repeats(info, payload)
    if len(payload.body) > MAX_BYTES:
        info.truncated = True
    return trail_pb2.GetPayloadResponse(info=info, body=payload.body[:MAX_BYTES])


def _steps_to_proto(trail: Trail) -> Iterator[trail_pb2.StepRecord]:
    """Return the steps with what later notes complete of their details."""
    notes = [note.message.note for note in trail.notes]
    completing = {
        note.completes: note.details_json for note in notes if note.completes and note.details_json
    }
    for event in trail.steps:
        record = _step_to_proto(event)
        if record.step in completing:
            record.details_json = _joined(record.details_json, completing[record.step])
        yield record


def _joined(details: str, more: str) -> str:
    """Return two objects as one; what is no object can't be completed and completes nothing."""
    # Raw values keep numbers as they were written.
    try:
        objects = [
            msgspec.json.decode(text or "{}", type=dict[str, msgspec.Raw])
            for text in (details, more)
        ]
    except (msgspec.DecodeError, RecursionError):
        return details
    return msgspec.json.encode(objects[0] | objects[1]).decode()


def _step_to_proto(event: StoredEvent) -> trail_pb2.StepRecord:
    message = event.message
    return trail_pb2.StepRecord(
        seq=event.seq,
        step=message.step.step,
        timestamp=message.occurred_at,
        attempt=message.attempt,
        details_json=message.step.details_json,
        trace_id=event.trace_id,
    )


def _note_to_proto(event: StoredEvent) -> trail_pb2.NoteRecord:
    message = event.message
    return trail_pb2.NoteRecord(
        seq=event.seq,
        code=message.note.code,
        text=message.note.text,
        details_json=message.note.details_json,
        timestamp=message.occurred_at,
        attempt=message.attempt,
    )


def _attempt_to_proto(attempt: Attempt) -> trail_pb2.AttemptRecord:
    message = trail_pb2.AttemptRecord(
        number=attempt.number,
        account=attempt.account,
        phase=attempt.phase,
        task_id=attempt.task_id,
        outcome=attempt.outcome,
        error_class=attempt.error_class,
        coins=attempt.coins,
        money=attempt.money,
        task_cost_time=attempt.task_cost_time,
    )
    for phase, name in (
        ("claimed", "claimed_at"),
        ("submitting", "submitted_at"),
        ("accepted", "accepted_at"),
        ("ended", "ended_at"),
    ):
        if phase in attempt.times:
            getattr(message, name).CopyFrom(stamp_of(attempt.times[phase]))
    return message


def _infos_to_proto(trail: Trail) -> Iterable[event_pb2.PayloadInfo]:
    extras = {str(payload_id): extra for payload_id, extra in trail.extras.items()}
    infos = []
    for event in trail.payloads:
        info = event.message.payload.info
        extra = extras.get(info.payload_id)
        if extra is not None:
            info = _merged(info, extra.info)
            _add_repeats(info, extra)
        infos.append(info)
    infos.sort(key=lambda each: (each.occurred_at.seconds, each.occurred_at.nanos))
    return infos


def _merged(told: event_pb2.PayloadInfo, by_gateway: bytes | None) -> event_pb2.PayloadInfo:
    """Return the gateway's description of a callback with what only the queue knows of it."""
    if by_gateway is None:
        return told
    info = event_pb2.PayloadInfo.FromString(by_gateway)
    info.payload_id = told.payload_id
    info.attempt = told.attempt or info.attempt
    info.deciding = told.deciding or info.deciding
    info.trace_id = told.trace_id or info.trace_id
    info.exchange_id = info.exchange_id or told.exchange_id or told.payload_id
    return info


def _add_repeats(info: event_pb2.PayloadInfo, known: Payload | PayloadExtra) -> None:
    info.repeats = known.repeats
    if known.last_repeat_at is not None:
        info.last_repeat_at.CopyFrom(stamp_of(known.last_repeat_at))


def _verdict_to_proto(verdict: Verdict) -> trail_pb2.Verdict:
    return trail_pb2.Verdict(
        error_class=verdict.error_class,
        side=_SIDES[verdict.side],
        message=trail_pb2.Text(pt=verdict.text_pt.message, en=verdict.text_en.message),
        advice=trail_pb2.Text(pt=verdict.text_pt.advice, en=verdict.text_en.advice),
        retry=_RETRIES[verdict.retry],
        charged=verdict.charged,
        returned=verdict.returned,
        captured=verdict.captured,
        evidence_payload_id=verdict.evidence_payload_id,
        evidence_path=verdict.evidence_path,
        provider_words=verdict.provider_words,
    )
