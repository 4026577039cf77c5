"""The words of people and programs for the enum values of the protos, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2, operations_pb2

Value = TypeVar("Value", bound=int)


def _words(names: Mapping[str, Value], prefix: str) -> dict[Value, str]:
    # The unspecified value is the empty word: "did not fail", "not known".
    words = {value: name.removeprefix(prefix).lower() for name, value in names.items()}
    return {value: "" if word == "unspecified" else word for value, word in words.items()}


def _reverse(words: Mapping[Value, str]) -> dict[str, Value]:
    return {word: value for value, word in words.items() if word}


STATUS_NAMES: Mapping[job_pb2.JobStatus.ValueType, str] = _words(
    dict(job_pb2.JobStatus.items()), "JOB_STATUS_"
)
STATUSES: Mapping[str, job_pb2.JobStatus.ValueType] = _reverse(STATUS_NAMES)
FINAL_STATUSES: frozenset[job_pb2.JobStatus.ValueType] = frozenset(
    {job_pb2.JOB_STATUS_COMPLETED, job_pb2.JOB_STATUS_FAILED, job_pb2.JOB_STATUS_CANCELLED}
)

STEP_NAMES: Mapping[job_pb2.Step.ValueType, str] = _words(dict(job_pb2.Step.items()), "STEP_")
STEPS: Mapping[str, job_pb2.Step.ValueType] = _reverse(STEP_NAMES)

SIDE_NAMES: Mapping[trail_pb2.Side.ValueType, str] = _words(dict(trail_pb2.Side.items()), "SIDE_")
SIDES: Mapping[str, trail_pb2.Side.ValueType] = _reverse(SIDE_NAMES)

RETRY_NAMES: Mapping[trail_pb2.RetryWorth.ValueType, str] = _words(
    dict(trail_pb2.RetryWorth.items()), "RETRY_WORTH_"
)
RETRIES: Mapping[str, trail_pb2.RetryWorth.ValueType] = _reverse(RETRY_NAMES)

LEDGER_NAMES: Mapping[credits_pb2.LedgerKind.ValueType, str] = _words(
    dict(credits_pb2.LedgerKind.items()), "LEDGER_KIND_"
)
LEDGER_KINDS: Mapping[str, credits_pb2.LedgerKind.ValueType] = _reverse(LEDGER_NAMES)

PAYLOAD_NAMES: Mapping[event_pb2.PayloadKind.ValueType, str] = _words(
    dict(event_pb2.PayloadKind.items()), "PAYLOAD_KIND_"
)
PAYLOAD_KINDS: Mapping[str, event_pb2.PayloadKind.ValueType] = _reverse(PAYLOAD_NAMES)

HEALTH_NAMES: Mapping[operations_pb2.AccountHealth.ValueType, str] = _words(
    dict(operations_pb2.AccountHealth.items()), "ACCOUNT_HEALTH_"
)
HEALTHS: Mapping[str, operations_pb2.AccountHealth.ValueType] = _reverse(HEALTH_NAMES)
