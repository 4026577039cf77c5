"""Between protos and the domain: small values, and changes as they are packed in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import credits_pb2
from etapa_client.names import LEDGER_KINDS, STATUSES, STEPS
from services.observability.domain import (
    FINAL_STEPS,
    AttemptChange,
    Body,
    Change,
    Failure,
    JobFacts,
    Kind,
    LedgerChange,
    NoteChange,
    Outputs,
    OutputsChange,
    PayloadChange,
    RepeatChange,
    Status,
    Step,
    StepChange,
)
from services.runtime.db import uuid_of
from services.runtime.text import without_nul

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STATUS_NUMBERS: Final = {status: STATUSES[status] for status in Status}
STEP_NUMBERS: Final = {step: STEPS[step] for step in Step}
_STATUS_OF: Final[Mapping[int, Status]] = {
    number: status for status, number in STATUS_NUMBERS.items()
}
_STEP_OF: Final[Mapping[int, Step]] = {number: step for step, number in STEP_NUMBERS.items()}
_LEDGER_OF: Final[Mapping[int, str]] = {number: kind for kind, number in LEDGER_KINDS.items()}
# Which status a step may have, by the numbers of both: its own where it ends a job, else any that
# ends none.
_STEPS: Final = {
    (STEP_NUMBERS[step], STATUS_NUMBERS[status]): (step, status)
    for step in Step
    for status in Status
    if FINAL_STEPS.get(step, status) is status and status.is_final == (step in FINAL_STEPS)
}
# What a failed job may have failed at: any step that is not itself an end.
_PLACES: Final = frozenset(set(Step) - set(FINAL_STEPS))


class UnreadableError(ValueError):
    """An event, or a part of one, that this service can't make sense of."""


def time_of(stamp: Timestamp) -> datetime:
    """Return a timestamp's time in UTC, to the microsecond. Raises `UnreadableError`."""
    try:
        return EPOCH + timedelta(0, stamp.seconds, stamp.nanos // 1000)
    except OverflowError as error:
        raise UnreadableError(f"a time of {stamp.seconds} s is outside the calendar") from error


def stamp_of(at: datetime) -> Timestamp:
    """Return a time as a timestamp."""
    since = at - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def status_from(number: int) -> Status:
    """Return a status by its number in the protos. Raises `UnreadableError`."""
    if number not in _STATUS_OF:
        raise UnreadableError(f"status {number} is unknown here")
    return _STATUS_OF[number]


def step_from(number: int) -> Step:
    """Return a step by its number in the protos. Raises `UnreadableError`."""
    if number not in _STEP_OF:
        raise UnreadableError(f"step {number} is unknown here")
    return _STEP_OF[number]


def ledger_number(kind: str) -> credits_pb2.LedgerKind.ValueType:
    """Return the number of a ledger kind."""
    return LEDGER_KINDS[kind]


def change_of(message: event_pb2.Event) -> tuple[Kind, Change]:
    """Read what an event tells; a payload's body is taken where the message carries one.

    Raises `UnreadableError`.
    """
    field_name = message.WhichOneof("kind")
    if field_name is None:
        raise UnreadableError("its kind is unknown here: deploy the newer observability first")
    kind, read = _READERS[field_name]
    return kind, read(getattr(message, field_name))


def step_change(message: event_pb2.StepEvent) -> StepChange:
    """Read a step. Raises `UnreadableError` where step and status contradict each other."""
    pair = _STEPS.get((message.step, message.status))
    if pair is None:
        step, status = step_from(message.step), status_from(message.status)
        raise UnreadableError(f"step {step} can't have status {status}")
    step, status = pair
    outputs = message.outputs
    return StepChange(
        step,
        status,
        message.details_json,
        _facts_of(message.facts) if message.HasField("facts") else None,
        _failure_of(message.failure) if message.HasField("failure") else None,
        outputs_of(event_pb2.OutputsEvent(outputs=outputs)) if outputs else None,
    )


def note_change(message: event_pb2.NoteEvent) -> NoteChange:
    """Read a note."""
    return NoteChange(step_from(message.completes) if message.completes else None)


def attempt_change(message: event_pb2.AttemptEvent) -> AttemptChange:
    """Read a change of an attempt."""
    if message.number < 1:
        raise UnreadableError(f"attempt number {message.number} is below 1")
    return AttemptChange(
        message.number,
        without_nul(message.account),
        message.phase,
        without_nul(message.task_id),
        message.outcome,
        message.error_class,
        message.coins,
        message.money,
        message.task_cost_time,
    )


def ledger_change(message: event_pb2.LedgerEvent) -> LedgerChange:
    """Read a movement of credits."""
    if message.kind not in _LEDGER_OF:
        raise UnreadableError(f"ledger kind {message.kind} is unknown here")
    return LedgerChange(_LEDGER_OF[message.kind], message.amount)


def payload_change(message: event_pb2.PayloadEvent) -> PayloadChange:
    """Read a payload; its body is taken where the message carries one."""
    info = message.info
    body: Body | None = Body()
    match message.WhichOneof("content"):
        case "delivery_id":
            return PayloadChange(
                _id_of("payload_id", message.delivery_id),
                is_callback=True,
                is_deciding=False,
                body=None,
            )
        case "body":
            body = Body(message.body)
        case "blob_sha256":
            body = Body(blob_sha256=digest_of(message.blob_sha256))
    return PayloadChange(
        payload_id=_id_of("payload_id", info.payload_id),
        is_callback=info.kind == event_pb2.PAYLOAD_KIND_CALLBACK,
        is_deciding=info.deciding and info.kind == event_pb2.PAYLOAD_KIND_RESPONSE,
        body=body,
    )


def repeat_change(message: event_pb2.RepeatEvent) -> RepeatChange:
    """Read the news that an equal answer came again."""
    if message.count < 1:
        raise UnreadableError(f"a repeat count of {message.count} is below 1")
    return RepeatChange(
        _id_of("payload_id", message.payload_id), message.count, time_of(message.last_at)
    )


def outputs_change(message: event_pb2.OutputsEvent) -> OutputsChange:
    """Read outputs that came late."""
    return OutputsChange(outputs_of(message))


def outputs_of(message: event_pb2.OutputsEvent) -> Outputs:
    """Read outputs; they stay packed as they are."""
    urls = [url for each in message.outputs for url in (each.url, each.provider_url) if url]
    first = next((each.url for each in message.outputs if each.url), "")
    return Outputs(message.SerializeToString(), without_nul(first), tuple(urls))


def digest_of(text: str) -> str:
    """Return a blob's digest, checked. Raises `UnreadableError`."""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise UnreadableError(f"blob_sha256={text[:80]!r} is not 64 hex digits")
    return text


def has_provider_spoken(info: event_pb2.PayloadInfo, payload_id: str) -> bool | None:
    """Tell whether a payload is something that the provider sent; None if it is another."""
    if info.payload_id != payload_id:
        return None
    return info.http_status > 0 or info.kind == event_pb2.PAYLOAD_KIND_CALLBACK


def _facts_of(message: event_pb2.JobFacts) -> JobFacts:
    if message.cost < 0:
        raise UnreadableError(f"cost {message.cost} is below 0")
    return JobFacts(
        without_nul(message.tool),
        without_nul(message.variant),
        without_nul(message.user_id),
        message.cost,
        without_nul(message.input_json),
        without_nul(message.caller),
        without_nul(message.request_id),
        without_nul(message.retry_of),
    )


def _failure_of(message: event_pb2.Failure) -> Failure:
    place = step_from(message.at_step) if message.at_step else None
    return Failure(
        place if place in _PLACES else None,
        without_nul(message.error_class),
        without_nul(message.message),
        without_nul(message.evidence_payload_id),
        without_nul(message.evidence_path),
    )


def _id_of(field_name: str, text: str) -> UUID:
    try:
        return uuid_of(text)
    except ValueError as error:
        raise UnreadableError(f"{field_name}={text[:80]!r} is not a UUID") from error


# How each kind's message is read, by its field's name in Event.
_READERS: Final[Mapping[str, tuple[Kind, Callable[[Any], Change]]]] = {
    "step": (Kind.STEP, step_change),
    "attempt_change": (Kind.ATTEMPT, attempt_change),
    "ledger": (Kind.LEDGER, ledger_change),
    "note": (Kind.NOTE, note_change),
    "payload": (Kind.PAYLOAD, payload_change),
    "repeat": (Kind.REPEAT, repeat_change),
    "outputs": (Kind.OUTPUTS, outputs_change),
}
KIND_OF: Final = {field_name: kind for field_name, (kind, _) in _READERS.items()}
