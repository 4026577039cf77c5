"""Words and enum values: both ways, complete, and as the plan has them."""

from __future__ import annotations

from typing import Any

import pytest

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2, operations_pb2
from etapa_client import names

PAIRS: list[tuple[Any, Any, Any]] = [
    (job_pb2.JobStatus, names.STATUS_NAMES, names.STATUSES),
    (job_pb2.Step, names.STEP_NAMES, names.STEPS),
    (trail_pb2.Side, names.SIDE_NAMES, names.SIDES),
    (trail_pb2.RetryWorth, names.RETRY_NAMES, names.RETRIES),
    (credits_pb2.LedgerKind, names.LEDGER_NAMES, names.LEDGER_KINDS),
    (event_pb2.PayloadKind, names.PAYLOAD_NAMES, names.PAYLOAD_KINDS),
    (operations_pb2.AccountHealth, names.HEALTH_NAMES, names.HEALTHS),
]


@pytest.mark.parametrize(("enum", "words", "values"), PAIRS)
def test_every_value_has_a_word_and_comes_back(enum: Any, words: Any, values: Any) -> None:
    assert set(words) == set(enum.values())
    assert words[0] == ""
    assert {values[words[value]] for value in enum.values() if value} == set(enum.values()) - {0}


def test_the_words_are_those_of_the_plan() -> None:
    assert list(names.STATUSES) == [
        "pending",
        "queued",
        "starting",
        "running",
        "completed",
        "failed",
        "cancelled",
    ]
    assert names.STEP_NAMES[job_pb2.STEP_WEBHOOK_RECEIVED] == "webhook_received"
    assert list(names.SIDES) == ["user", "configuration", "account", "provider", "us"]
