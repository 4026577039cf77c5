"""The SDK against real servers: deadlines, safe repeats, errors as classes, tracing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from etapa.queue.v1 import credits_pb2, queue_pb2
from etapa_client import EtapaClient, errors
from etapa_client.connection import ATTEMPTS
from services.runtime import errors as kinds
from services.runtime import tracing
from services.runtime.error_table import Answer
from services.runtime.grpc_edge import abort
from tests.support.servicers import SmallCredits, SmallQueue, serving

Act = Callable[[Any, Any], Awaitable[Any]]


def named(kind: type[kinds.EtapaError], reason: str, **facts: str) -> kinds.EtapaError:
    """Make an error as a service's domain does."""
    error: kinds.EtapaError = type("NamedError", (kind,), {"reason": reason})(
        f"{reason}: do this.", facts=facts
    )
    return error


def failing(error: Exception, times: int = 1_000) -> Act:
    """Return an action that fails the first `times` calls."""
    left = times

    async def act(_request: Any, _context: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return credits_pb2.GetBalanceResponse(available=5)

    return act


REASONS = [
    (kinds.NotFoundError, "JOB_NOT_FOUND", errors.JobNotFoundError),
    (kinds.NotFoundError, "TOOL_NOT_FOUND", errors.ToolNotFoundError),
    (kinds.NotFoundError, "ACCOUNT_NOT_FOUND", errors.AccountNotFoundError),
    (kinds.NotFoundError, "PAYLOAD_NOT_FOUND", errors.PayloadNotFoundError),
    (kinds.DuplicateError, "REQUEST_ID_REUSED", errors.RequestIdReusedError),
    (kinds.ForbiddenTransitionError, "JOB_ALREADY_FINAL", errors.JobAlreadyFinalError),
    (kinds.ForbiddenTransitionError, "JOB_NOT_FINAL", errors.JobNotFinalError),
    (kinds.ForbiddenTransitionError, "JOB_NOT_QUEUED", errors.JobNotQueuedError),
    (kinds.QuotaError, "TOO_MANY_ACTIVE_JOBS", errors.TooManyActiveJobsError),
    (kinds.ExpiredError, "SEQ_EXPIRED", errors.SeqExpiredError),
    (kinds.ExpiredError, "CURSOR_EXPIRED", errors.CursorExpiredError),
    (kinds.InvalidInputError, "BAD_AMOUNT", errors.InvalidInputError),
    (kinds.InvalidInputError, "INVALID_ID", errors.InvalidIdError),
    (kinds.LostRaceError, "A_NEW_WORD", errors.EtapaError),
]


@pytest.mark.parametrize(("kind", "reason", "wanted"), REASONS)
async def test_a_reason_comes_back_as_its_class(
    kind: type[kinds.EtapaError], reason: str, wanted: type[errors.EtapaError]
) -> None:
    servicer = SmallQueue(failing(named(kind, reason, job_id="j1")))
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        with pytest.raises(errors.EtapaError) as caught:
            await etapa.queue.get_job("j1")
    error = caught.value
    assert type(error) is wanted
    assert (error.reason, error.message) == (reason, f"{reason}: do this.")
    assert error.facts["job_id"] == "j1"
    assert isinstance(error.__cause__, aio.AioRpcError)
    assert servicer.calls == ["GetJob"]


async def test_too_many_active_jobs_names_them() -> None:
    error = named(kinds.QuotaError, "TOO_MANY_ACTIVE_JOBS", active_job_ids="j1,j2")
    async with (
        serving(SmallQueue(failing(error))) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa,
    ):
        with pytest.raises(errors.TooManyActiveJobsError) as caught:
            await etapa.queue.create_job(request_id="r", user_id="u", tool="upscaler")
    assert caught.value.active_job_ids == ("j1", "j2")


async def test_invalid_input_names_its_field() -> None:
    error = kinds.InvalidInputError("Too big.", field="amount")
    async with (
        serving(SmallCredits(failing(error))) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa,
    ):
        with pytest.raises(errors.InvalidInputError) as caught:
            await etapa.credits.grant_credits(request_id="r", user_id="u", amount=0)
    assert caught.value.field == "amount"


async def test_an_internal_error_carries_the_trace_id() -> None:
    async with (
        serving(SmallCredits(failing(RuntimeError("x")))) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa,
    ):
        with pytest.raises(errors.EtapaError) as caught:
            await etapa.credits.get_balance("u")
    assert caught.value.code is grpc.StatusCode.INTERNAL
    assert len(caught.value.trace_id) == 32


async def test_a_read_is_repeated_until_the_service_is_back() -> None:
    servicer = SmallCredits(failing(kinds.UnavailableError("Soon."), times=1))
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        answer = await etapa.credits.get_balance("u")
    assert (answer.available, servicer.calls) == (5, 2)


async def test_repeats_are_bounded() -> None:
    async def act(_request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "no")

    servicer = SmallCredits(act)
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        with pytest.raises(errors.UnavailableError):
            await etapa.credits.get_balance("u")
    assert servicer.calls == ATTEMPTS


async def test_repeats_stay_within_one_deadline() -> None:
    async def act(_request: Any, context: Any) -> None:
        answer = Answer(grpc.StatusCode.UNAVAILABLE, "LATER", "In a minute.", retry_after_s=60)
        await abort(context, answer)

    servicer = SmallCredits(act)
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        with pytest.raises(errors.UnavailableError):
            await asyncio.wait_for(etapa.credits.get_balance("u", timeout_s=30), 40)
    assert servicer.calls == 1


async def test_no_repeat_waits_longer_than_the_longest_pause() -> None:
    servicer = SmallCredits(failing(kinds.UnavailableError("Soon."), times=1))
    async with (
        serving(servicer) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}", longest_pause_s=0.2) as etapa,
    ):
        with pytest.raises(errors.UnavailableError):
            await etapa.credits.get_balance("u")
    assert servicer.calls == 1


async def test_a_repeat_that_need_not_wait_long_is_made() -> None:
    async def act(_request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "no")

    servicer = SmallCredits(act)
    async with (
        serving(servicer) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}", attempts=2, longest_pause_s=0.2) as etapa,
    ):
        with pytest.raises(errors.UnavailableError):
            await etapa.credits.get_balance("u")
    assert servicer.calls == 2


CREATE = queue_pb2.CreateJobRequest(request_id="r", user_id="u", tool="t")
NAMELESS = queue_pb2.CreateJobRequest(user_id="u", tool="t")
Call = Callable[[EtapaClient], Awaitable[Any]]
REPEATED: list[tuple[str, Call, int]] = [
    ("create", lambda e: e.queue.create_job(request_id="r", user_id="u", tool="t"), 2),
    ("create without id", lambda e: e.queue.create_job(request_id="", user_id="u", tool="t"), 1),
    ("several", lambda e: e.queue.create_jobs([CREATE, CREATE]), 2),
    ("several, one without id", lambda e: e.queue.create_jobs([CREATE, NAMELESS]), 1),
    ("submit", lambda e: e.queue.submit_job(job_id="j", ready=queue_pb2.Submission()), 2),
    ("retry", lambda e: e.queue.retry_job("j", request_id="r"), 2),
    ("cancel", lambda e: e.queue.cancel_job("j"), 1),
    ("wait", lambda e: e.queue.wait_job("j", max_wait_s=5), 2),
]


@pytest.mark.parametrize(("name", "call", "wanted"), REPEATED, ids=[row[0] for row in REPEATED])
async def test_only_what_is_safe_is_repeated(name: str, call: Call, wanted: int) -> None:
    servicer = SmallQueue(failing(kinds.UnavailableError("Soon."), times=1))
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        if wanted == 1:
            with pytest.raises(errors.UnavailableError):
                await call(etapa)
        else:
            await call(etapa)
    assert len(servicer.calls) == wanted, name


async def test_a_deadline_is_set_kept_and_never_repeated() -> None:
    remaining: list[float] = []

    async def act(_request: Any, context: Any) -> Any:
        remaining.append(context.time_remaining())
        if len(remaining) > 1:
            await asyncio.Event().wait()
        return credits_pb2.GetBalanceResponse()

    servicer = SmallCredits(act)
    async with serving(servicer) as server, EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa:
        # On a busy machine, connecting alone may take longer than the short deadline below.
        await etapa.credits.get_balance("u", timeout_s=20)
        with pytest.raises(errors.DeadlineExceededError):
            await etapa.credits.get_balance("u", timeout_s=1)
    assert servicer.calls == 2
    # On the wire a deadline is rounded up, by about a hundredth.
    assert remaining[0] > 1.1 > remaining[1]


async def test_an_absent_server_is_named_at_once_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with EtapaClient(queue=address) as etapa:
        with pytest.raises(errors.UnavailableError, match=rf"{address}.*make up") as caught:
            await asyncio.wait_for(etapa.queue.cancel_job("j"), 3)
    assert caught.value.facts["address"] == address


async def test_an_address_that_was_not_given_is_named() -> None:
    async with EtapaClient(queue="127.0.0.1:1") as etapa:
        with pytest.raises(errors.EtapaError, match=r'EtapaClient\(tools="host:port"\)'):
            await etapa.tools.list_tools()


async def test_the_address_of_another_service_is_named() -> None:
    async with serving(SmallQueue(failing(KeyError()))) as server:
        address = f"127.0.0.1:{server.port}"
        async with EtapaClient(tools=address) as etapa:
            with pytest.raises(errors.EtapaError, match=f"{address} does not serve") as caught:
                await etapa.tools.list_tools()
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


async def test_the_trace_goes_along_and_the_server_continues_it() -> None:
    seen: list[str] = []

    async def act(_request: Any, _context: Any) -> Any:
        seen.append(tracing.current_traceparent())
        return credits_pb2.GetBalanceResponse()

    async with (
        serving(SmallCredits(act)) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}", tracer=tracing.ClientTracer()) as etapa,
    ):
        with tracing.start_span("outer") as outer:
            await etapa.credits.get_balance("u")
        await etapa.credits.get_balance("u")
    assert tracing.trace_id_of(seen[0]) == outer.trace_id
    assert tracing.trace_id_of(seen[1]) not in ("", outer.trace_id)


async def test_cancelling_a_call_reaches_the_server() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def act(_request: Any, _context: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with (
        serving(SmallCredits(act)) as server,
        EtapaClient(queue=f"127.0.0.1:{server.port}") as etapa,
    ):
        task = asyncio.create_task(etapa.credits.get_balance("u"))
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_job_is_submitted_with_exactly_one_outcome() -> None:
    async with EtapaClient(queue="127.0.0.1:1") as etapa:
        with pytest.raises(ValueError, match="either"):
            await etapa.queue.submit_job(job_id="j")
