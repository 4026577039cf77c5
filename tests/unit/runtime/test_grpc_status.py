"""One refused request among several reads, at the caller, as the failed call it would have been."""

from __future__ import annotations

import grpc
import pytest
from grpc import aio

from etapa_client.errors import EtapaError, error_from, error_from_refusal
from services.queue.domain import BadRequestError, JobNotFoundError, TooManyActiveJobsError
from services.queue.mapping_create import refusal_to_proto
from services.runtime import errors
from services.runtime.grpc_status import bounded, status_of, told
from services.runtime.ids import new_id
from services.runtime.log import get_log

ERRORS: list[Exception] = [
    JobNotFoundError("j1"),
    TooManyActiveJobsError("ana", 2, [new_id(), new_id()]),
    BadRequestError("tool has 0 characters; it takes 1 to 128 characters", "tool"),
    errors.UnavailableError("Soon.", {"what": "it"}),
    errors.QuotaError("x" * 5000, {f"fact{n}": "é" * 900 for n in range(9)}),
    RuntimeError("a secret"),
    TimeoutError(),
]


def as_call(error: Exception) -> EtapaError:
    answer = bounded(told("m", error, "t" * 32, get_log("test")))
    status = status_of(answer)
    trailing = aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    call_error = aio.AioRpcError(answer.code, aio.Metadata(), trailing, status.message)
    return error_from(call_error, "127.0.0.1:1")


def as_one_of_many(error: Exception) -> EtapaError:
    answer = bounded(told("m", error, "t" * 32, get_log("test")))
    return error_from_refusal(refusal_to_proto(answer))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_refusal_tells_what_the_call_would_have(error: Exception) -> None:
    call, one = as_call(error), as_one_of_many(error)
    assert type(one) is type(call)
    assert (one.message, one.reason, one.code) == (call.message, call.reason, call.code)
    assert (one.facts, one.retry_after_s) == (call.facts, call.retry_after_s)


def test_an_unknown_error_is_told_by_its_trace_alone() -> None:
    one = as_one_of_many(RuntimeError("a secret"))
    assert one.code is grpc.StatusCode.INTERNAL
    assert one.trace_id == "t" * 32
    assert "secret" not in one.message
