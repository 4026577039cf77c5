"""What a failed call tells its caller, within what fits into headers, and what its operators.

One of several requests in a call is told the same, as if it had come alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from services.runtime.error_table import DOMAIN, Answer, answer_to

# A peer takes 8 KiB of headers by default, and the message goes there twice: percent-encoded
# (three bytes for each of its own, in Chinese) and in the details. The trail has it whole.
MESSAGE_BYTES = 900
FACT_BYTES = 500
FACTS_BYTES = 1400


def told(method: str, error: Exception, trace_id: str, log: Any) -> Answer:
    """Return what the caller learns of an error, and log what the operators must know."""
    answer = answer_to(error)
    if not answer.expected:
        answer = replace(answer, facts={**answer.facts, "trace_id": trace_id})
        log.error("rpc_failed", method=method, exc_info=error)
    elif answer.code is grpc.StatusCode.UNAVAILABLE:
        log.warning(
            "rpc_unavailable", method=method, reason=answer.reason, cause=type(error).__name__
        )
    return answer


def bounded(answer: Answer) -> Answer:
    """Cut the message and each fact, and leave out facts beyond what fits into headers."""
    facts: dict[str, str] = {}
    room = FACTS_BYTES
    for name, value in answer.facts.items():
        kept = _cut(value, FACT_BYTES)
        room -= len(name) + len(kept.encode())
        if room < 0:
            break
        facts[name] = kept
    return replace(answer, message=_cut(answer.message, MESSAGE_BYTES), facts=facts)


def status_of(answer: Answer) -> status_pb2.Status:
    """Build the google.rpc.Status of a bounded answer (AIP-193)."""
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=answer.reason, domain=DOMAIN, metadata=answer.facts)
    ]
    if answer.input_field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=answer.input_field, description=answer.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if answer.retry_after_s:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(answer.retry_after_s * 1000))
        details.append(retry)
    return status_pb2.Status(
        code=answer.code.value[0],
        message=answer.message,
        details=[_packed(each) for each in details],
    )


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _cut(text: str, limit: int) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode("utf-8", "ignore") + "…"
