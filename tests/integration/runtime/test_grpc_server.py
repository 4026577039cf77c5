"""The server over a real socket: errors, the deadline rule, health, reflection, addresses, ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from etapa.observability.v1 import intake_pb2, trail_pb2, trail_pb2_grpc
from etapa.queue.v1 import credits_pb2, credits_pb2_grpc
from etapa.tools.v1 import tools_pb2
from etapa_client.connection import KEEPALIVE_S
from services.runtime import errors
from services.runtime.error_table import INTERNAL_TEXT
from services.runtime.grpc_server import (
    LEAST_PING_MS,
    GrpcServer,
    InsecureBindError,
    PortInUseError,
)
from services.runtime.listen import insecure_bind_allowed
from tests.support.servicers import SmallCredits, SmallIntake, SmallTools, SmallTrail, serving

BALANCE = credits_pb2.GetBalanceRequest(user_id="u")


def raising(error: Exception) -> SmallCredits:
    """Return a servicer that raises."""

    async def act(_request: Any, _context: Any) -> Any:
        raise error

    return SmallCredits(act)


async def balance_error(servicer: SmallCredits, timeout_s: float | None = 5) -> aio.AioRpcError:
    """Call a server of the servicer and return how the call failed."""
    async with serving(servicer) as server, channel_to(server) as channel:
        stub: Any = credits_pb2_grpc.CreditsServiceStub(channel)
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.GetBalance(BALANCE, timeout=timeout_s)
    return caught.value


def raw_channel_to(server: GrpcServer) -> Any:
    """Open a channel whose messages are bytes, as they are."""
    return channel_to(server)


def channel_to(server: GrpcServer) -> aio.Channel:
    """Open a plain channel, without the SDK."""
    return aio.insecure_channel(f"127.0.0.1:{server.port}")


def details_of(error: aio.AioRpcError) -> dict[str, Any]:
    """Unpack the details of the google.rpc.Status, by type name."""
    view: Any = _SyncView(error)
    status = rpc_status.from_call(view)
    assert status is not None
    found: dict[str, Any] = {}
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
    ):
        for packed in status.details:
            message = kind()
            if packed.Unpack(message):
                found[kind.DESCRIPTOR.name] = message
    return found


class _SyncView:
    def __init__(self, error: aio.AioRpcError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code()

    def details(self) -> str | None:
        return self._error.details()

    def trailing_metadata(self) -> Any:
        return tuple(self._error.trailing_metadata())


async def read_all(call: Any, into: list[Any]) -> None:
    """Read a stream to its end."""
    while (message := await call.read()) is not aio.EOF:
        into.append(message)


async def test_an_error_arrives_with_reason_domain_and_facts() -> None:
    error = await balance_error(raising(errors.NotFoundError("No job j1.", {"job_id": "j1"})))
    info = details_of(error)["ErrorInfo"]
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "No job j1.")
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "NOT_FOUND",
        "etapa",
        {"job_id": "j1"},
    )


async def test_a_bad_field_is_named_in_a_bad_request() -> None:
    error = await balance_error(raising(errors.InvalidInputError("Too big.", field="amount")))
    (violation,) = details_of(error)["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("amount", "Too big.")


async def test_unavailable_says_when_to_come_back() -> None:
    error = await balance_error(raising(ConnectionRefusedError(111, "postgres:5432")))
    details = details_of(error)
    assert details["ErrorInfo"].reason == "DATABASE_UNAVAILABLE"
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 500
    assert "5432" not in (error.details() or "")


async def test_an_unknown_error_gives_a_trace_id_and_never_its_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    error = await balance_error(raising(RuntimeError("dsn=postgres://secret")))
    info = details_of(error)["ErrorInfo"]
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
    assert len(info.metadata["trace_id"]) == 32
    assert b"secret" not in bytes(str(error), "utf-8")
    assert "rpc_failed" in capfd.readouterr().out


async def test_a_very_long_provider_message_still_arrives() -> None:
    text = "内存不足" * 5000
    facts = {f"said_{number}": text for number in range(50)}
    error = await balance_error(raising(errors.InvalidInputError(text, "prompt", facts)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").startswith("内存不足")
    assert details_of(error)["ErrorInfo"].metadata["field"] == "prompt"


async def test_a_call_without_a_deadline_is_told_to_set_one() -> None:
    servicer = raising(AssertionError("must not be reached"))
    error = await balance_error(servicer, timeout_s=None)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(error)["ErrorInfo"].reason == "DEADLINE_REQUIRED"
    assert servicer.calls == 0


NO_MESSAGE = b"\xff\xff\xff"
CREDITS, TRAIL = "/etapa.queue.v1.CreditsService/", "/etapa.observability.v1.TrailService/"
RUN, RECORD = "/etapa.tools.v1.ToolsService/RunTool", "/etapa.observability.v1.IntakeService/"


def assert_malformed(error: aio.AioRpcError, method: str) -> None:
    """Check what a caller is told whose bytes are no message."""
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = details_of(error)["ErrorInfo"]
    assert (info.reason, info.metadata["method"]) == ("MALFORMED_REQUEST", method)
    assert method in (error.details() or "")


@pytest.mark.parametrize("raw", [NO_MESSAGE, b"\x0a\x02\xff\xfe", b"\x0a\x7fshort"])
async def test_bytes_that_are_no_request_are_refused_with_their_reason(raw: bytes) -> None:
    servicer = raising(AssertionError("must not be reached"))
    async with serving(servicer, SmallTrail()) as server, raw_channel_to(server) as channel:
        method = CREDITS + "GetBalance"
        with pytest.raises(aio.AioRpcError) as refused:
            await channel.unary_unary(method)(raw, timeout=5)
        assert_malformed(refused.value, method)
        for method in (TRAIL + "Watch", TRAIL + "WatchJobs"):
            with pytest.raises(aio.AioRpcError) as refused:
                await read_all(channel.unary_stream(method)(raw, timeout=5), [])
            assert_malformed(refused.value, method)
    assert servicer.calls == 0


async def test_a_message_of_a_stream_that_is_none_ends_the_stream_with_its_reason() -> None:
    intake, tools = SmallIntake(), SmallTools()
    intake.gate.set()
    async with serving(intake, tools) as server, raw_channel_to(server) as channel:
        good = tools_pb2.RunToolRequest(header=tools_pb2.RunToolHeader(tool="t"))
        parts = iter([good.SerializeToString(), NO_MESSAGE])
        with pytest.raises(aio.AioRpcError) as refused:
            await channel.stream_unary(RUN)(parts, timeout=5)
        assert_malformed(refused.value, RUN)
        assert [header.tool for header in tools.headers] == ["t"]
        method, got = RECORD + "RecordEvents", list[bytes]()
        call = channel.stream_stream(method)(timeout=5)
        await call.write(intake_pb2.RecordEventsRequest(batch=7).SerializeToString())
        got.append(await call.read())
        await call.write(NO_MESSAGE)
        with pytest.raises(aio.AioRpcError) as refused:
            await read_all(call, got)
        assert_malformed(refused.value, method)
    assert intake_pb2.RecordEventsResponse.FromString(got[0]).batch == 7


async def test_without_a_deadline_that_is_said_before_the_bytes_are_looked_at() -> None:
    servicer = raising(AssertionError("must not be reached"))
    async with serving(servicer) as server, raw_channel_to(server) as channel:
        with pytest.raises(aio.AioRpcError) as refused:
            await channel.unary_unary(CREDITS + "GetBalance")(NO_MESSAGE)
    assert details_of(refused.value)["ErrorInfo"].reason == "DEADLINE_REQUIRED"


async def test_the_handlers_own_abort_passes_unchanged() -> None:
    async def act(_request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "as it is")

    error = await balance_error(SmallCredits(act))
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "as it is")


@pytest.mark.parametrize("method", ["Watch", "WatchJobs"])
async def test_streams_of_both_styles_map_errors_after_messages(method: str) -> None:
    trail = SmallTrail(last=3)

    async def fail(seq: int, _context: Any) -> None:
        if seq in (0, 3):
            raise errors.ExpiredError("Start anew.", {"seq": "3"})

    trail.at_event = fail
    request: Any = {"Watch": trail_pb2.WatchRequest(), "WatchJobs": trail_pb2.WatchJobsRequest()}
    got: list[Any] = []
    async with serving(trail) as server, channel_to(server) as channel:
        stub: Any = trail_pb2_grpc.TrailServiceStub(channel)
        call = getattr(stub, method)(request[method])
        with pytest.raises(aio.AioRpcError) as caught:
            await read_all(call, got)
    assert len(got) >= 2
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert details_of(caught.value)["ErrorInfo"].reason == "EXPIRED"


async def test_a_message_that_is_serialised_already_is_sent_as_it_is() -> None:
    trail, message = SmallTrail(last=1), trail_pb2.WatchResponse(heartbeat=7)

    async def write(_seq: int, context: Any) -> None:
        await context.write(message.SerializeToString())

    trail.at_event = write
    got: list[Any] = []
    async with serving(trail) as server, channel_to(server) as channel:
        stub: Any = trail_pb2_grpc.TrailServiceStub(channel)
        await read_all(stub.Watch(trail_pb2.WatchRequest()), got)
    assert got[0] == message
    assert [each.WhichOneof("message") for each in got[1:]] == ["event", "heartbeat"]


async def test_a_cancelled_call_cancels_its_handler() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def act(_request: Any, _context: Any) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(SmallCredits(act)) as server, channel_to(server) as channel:
        stub: Any = credits_pb2_grpc.CreditsServiceStub(channel)
        call = stub.GetBalance(BALANCE, timeout=30)
        await asyncio.wait_for(started.wait(), 5)
        call.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_stream_whose_client_left_is_closed_at_the_server() -> None:
    trail = SmallTrail(last=1)
    trail.hold_open = True
    async with serving(trail) as server, channel_to(server) as channel:
        stub: Any = trail_pb2_grpc.TrailServiceStub(channel)
        call = stub.Watch(trail_pb2.WatchRequest())
        await call.read()
        await asyncio.wait_for(trail.opened.wait(), 5)
        call.cancel()
        await asyncio.wait_for(trail.closed.wait(), 5)
    assert trail.open_streams == 0


async def test_health_tells_each_service_and_the_whole() -> None:
    trail = SmallTrail()
    name = "etapa.observability.v1.TrailService"
    async with serving(trail) as server, channel_to(server) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", name):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stream = stub.Watch(health_pb2.HealthCheckRequest(service=name))
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
        server.set_serving(False)
        answer = await asyncio.wait_for(stream.read(), 5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        stream.cancel()


async def test_health_needs_no_deadline_and_a_server_starts_as_not_serving() -> None:
    server = GrpcServer("127.0.0.1:0")
    await server.start()
    async with channel_to(server) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.stop(0)


async def test_reflection_lists_the_services() -> None:
    async with serving(SmallTrail()) as server, channel_to(server) as opened:
        channel: Any = opened
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in stub.ServerReflectionInfo(iter([request])):
            names = {each.name for each in answer.list_services_response.service}
    assert {"etapa.observability.v1.TrailService", "grpc.health.v1.Health"} <= names


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"port {port} is in use.*set another port"):
            await GrpcServer(f"127.0.0.1:{port}").start()


async def test_two_servers_never_share_a_port() -> None:
    async with serving(SmallTrail()) as server:
        with pytest.raises(PortInUseError):
            await GrpcServer(f"127.0.0.1:{server.port}").start()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
async def test_addresses_beyond_loopback_are_refused(listen: str) -> None:
    with pytest.raises(InsecureBindError, match="ETAPA_INSECURE_BIND=1"):
        await GrpcServer(listen).start()


async def test_addresses_beyond_loopback_are_allowed_when_told_so() -> None:
    token = insecure_bind_allowed.set(True)
    try:
        server = GrpcServer("0.0.0.0:0")
        assert await server.start() > 0
        await server.stop(0)
    finally:
        insecure_bind_allowed.reset(token)


async def test_stop_ends_streams_at_once_and_lets_calls_finish() -> None:
    trail = SmallTrail(last=1)
    trail.hold_open = True
    started, release = asyncio.Event(), asyncio.Event()

    async def act(_request: Any, _context: Any) -> Any:
        started.set()
        await release.wait()
        return credits_pb2.GetBalanceResponse(available=7)

    async with serving(trail, SmallCredits(act)) as server, channel_to(server) as channel:
        trails: Any = trail_pb2_grpc.TrailServiceStub(channel)
        balances: Any = credits_pb2_grpc.CreditsServiceStub(channel)
        stream = trails.Watch(trail_pb2.WatchRequest())
        await stream.read()
        call = balances.GetBalance(BALANCE, timeout=30)
        await asyncio.wait_for(started.wait(), 5)
        stopping = asyncio.create_task(server.stop(20))
        with pytest.raises(aio.AioRpcError) as caught:
            await read_all(stream, [])
        assert not stopping.done()
        release.set()
        assert (await call).available == 7
        await asyncio.wait_for(stopping, 5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert details_of(caught.value)["ErrorInfo"].reason == "SERVER_STOPPING"


async def test_stop_ends_a_call_that_outlives_the_grace() -> None:
    started = asyncio.Event()

    async def act(_request: Any, _context: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    async with serving(SmallCredits(act)) as server, channel_to(server) as channel:
        stub: Any = credits_pb2_grpc.CreditsServiceStub(channel)
        call = stub.GetBalance(BALANCE, timeout=30)
        await asyncio.wait_for(started.wait(), 5)
        await asyncio.wait_for(server.stop(0.05), 5)
        with pytest.raises(aio.AioRpcError) as caught:
            await call
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_blocking_handler_is_refused_before_it_serves() -> None:
    class Blocking(SmallCredits):
        def GetBalance(self, request: Any, context: Any) -> Any:  # noqa: N802
            return credits_pb2.GetBalanceResponse()

    servicer = Blocking(lambda _request, _context: asyncio.sleep(0))
    with pytest.raises(TypeError, match="GetBalance must be `async def`"):
        GrpcServer("127.0.0.1:0").add(
            credits_pb2_grpc.add_CreditsServiceServicer_to_server,
            servicer,
            "etapa.queue.v1.CreditsService",
        )


def test_the_sdk_pings_no_faster_than_a_server_allows() -> None:
    assert KEEPALIVE_S * 1000 > LEAST_PING_MS
