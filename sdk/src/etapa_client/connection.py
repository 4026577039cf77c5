"""One lazily opened channel to one address: deadlines, safe retries, errors as classes."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import grpc
from grpc import aio

from etapa_client.errors import EtapaError, error_from

Request = TypeVar("Request")
Response = TypeVar("Response")
Received_co = TypeVar("Received_co", covariant=True)
Stub = TypeVar("Stub")

Metadata: TypeAlias = tuple[tuple[str, str], ...]
# Makes one attempt: seconds left, metadata to send.
Once: TypeAlias = Callable[[float, Metadata], Awaitable[Response]]

READ_S = 10.0
WRITE_S = 20.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
KEEPALIVE_S = 30
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
ATTEMPTS = 4
# What grpc.aio says where a server answered, or died, in mid-upload: the piece that it could not
# send any more hides the answer for good (grpcio 1.85, a tenth to a half of refused uploads on
# loopback, tried 2026-11-24).
_ANSWER_MISSED = "Internal error from Core"
_ENDED_HERE = "the call was ended by this client"
_NO_ANSWER = "the server ended the upload, and its answer was lost"
_CLOCK_SLACK_S = 0.05


def channel_options() -> list[tuple[str, Any]]:
    """Channel options that fit the limits and ping policy of Etapa's servers."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", 32 * 1024),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        # Despite its name, how long one attempt to connect may take; a busy machine needs longer
        # than the first back-off, and a refused connection does not wait for it.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # With several addresses all replicas share the calls.
        ("grpc.lb_policy_name", "round_robin"),
        # This client retries by itself, so that it can tell what is safe to repeat.
        ("grpc.enable_retries", 0),
    ]


class StreamCall(Protocol[Received_co]):
    """What the calls that answer with a stream have in common."""

    def __aiter__(self) -> AsyncIterator[Received_co]:
        """Read the messages."""

    def cancel(self) -> bool:
        """End the call."""


class CallSpan(Protocol):
    """One call as a tracer sees it."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What to send along, such as a traceparent."""

    def end(self, code: grpc.StatusCode, error: BaseException | None = None) -> None:
        """Close with the call's final status."""


class CallTracer(Protocol):
    """Sees every call once, whatever the number of its attempts."""

    def start(self, method: str, address: str) -> CallSpan:
        """Begin a call of the full method `package.Service/Method`."""


class _NoSpan:
    metadata: tuple[tuple[str, str], ...] = ()

    def end(self, code: grpc.StatusCode, error: BaseException | None = None) -> None:
        """Do nothing."""


class NoTracer:
    """Traces nothing; the default."""

    def start(self, method: str, address: str) -> CallSpan:
        """Begin nothing."""
        return _NO_SPAN


_NO_SPAN = _NoSpan()


class Connection:
    """Calls to one address. The channel opens with the first call and closes with `close()`."""

    def __init__(
        self,
        address: str,
        service: str,
        interceptors: Sequence[aio.ClientInterceptor] = (),
        tracer: CallTracer | None = None,
        attempts: int = ATTEMPTS,
        longest_pause_s: float = math.inf,
    ) -> None:
        self.address = address
        self._most = attempts
        self._longest_pause_s = longest_pause_s
        self._service = service
        self._interceptors = interceptors
        self._tracer: CallTracer = tracer or NoTracer()
        self._channel: aio.Channel | None = None
        self._stubs: dict[Callable[[aio.Channel], Any], Any] = {}

    @property
    def channel(self) -> aio.Channel:
        """The channel; the first reading opens it."""
        if not self.address:
            raise EtapaError(
                f"This client has no address of the {self._service} service. "
                f'Make it with EtapaClient({self._service}="host:port").',
                reason="NO_ADDRESS",
                code=grpc.StatusCode.FAILED_PRECONDITION,
            )
        if self._channel is None:
            self._channel = aio.insecure_channel(
                self.address, options=channel_options(), interceptors=self._interceptors
            )
        return self._channel

    def stub(self, make: Callable[[aio.Channel], Stub]) -> Stub:
        """Return the generated stub of one service on the channel.

        Kept, since making one makes all of its methods and costs a third of a call.
        """
        known: Stub | None = self._stubs.get(make)
        if known is None:
            known = self._stubs[make] = make(self.channel)
        return known

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close()

    async def call(
        self, name: str, once: Once[Response], timeout_s: float, *, repeatable: bool
    ) -> Response:
        """Await `once`; repeat what may pass where that is safe, within one deadline."""
        with self.span(name) as span:
            return await self._attempts(once, timeout_s, span.metadata, repeatable)

    @contextmanager
    def span(self, name: str) -> Iterator[CallSpan]:
        """Trace one call; its errors leave as this package's own, with their cause."""
        span = self._tracer.start(name, self.address)
        try:
            yield span
        except aio.AioRpcError as call_error:
            span.end(call_error.code(), call_error)
            raise error_from(call_error, self.address) from call_error
        except (asyncio.CancelledError, GeneratorExit) as error:
            span.end(grpc.StatusCode.CANCELLED, error)
            raise
        except BaseException as error:
            span.end(grpc.StatusCode.UNKNOWN, error)
            raise
        span.end(grpc.StatusCode.OK)

    async def stream(
        self, name: str, open_call: Callable[[Metadata], StreamCall[Response]]
    ) -> AsyncGenerator[Response, None]:
        """Yield the messages of one streaming call, once; the call ends with this generator."""
        with self.span(name) as span:
            call = open_call(span.metadata)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()

    async def _attempts(
        self, once: Once[Response], timeout_s: float, metadata: Metadata, repeatable: bool
    ) -> Response:
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        attempt = 0
        while True:
            attempt += 1
            try:
                return await _told(once(max(end - clock(), 0.001), metadata), end)
            except aio.AioRpcError as call_error:
                if not repeatable or not _may_pass(call_error):
                    raise
                pause_s = max(backoff_s(attempt), error_from(call_error, "").retry_after_s)
                if attempt >= self._most or clock() + pause_s >= end:
                    raise
                if pause_s > self._longest_pause_s:
                    raise
            await asyncio.sleep(pause_s)


def is_answer_missed(call_error: aio.AioRpcError) -> bool:
    """Tell whether grpc.aio lost the answer, if there was one, over a piece being uploaded."""
    return call_error.code() is grpc.StatusCode.INTERNAL and call_error.details() == _ANSWER_MISSED


def _may_pass(call_error: aio.AioRpcError) -> bool:
    """Tell whether a repeat may fare better. What the server itself answered stays answered."""
    return call_error.code() is grpc.StatusCode.UNAVAILABLE


async def _told(answer: Awaitable[Response], end: float) -> Response:
    """Await an attempt. What grpc.aio says of a call that it ended itself becomes what it means.

    It raises CancelledError, or its "Internal error from Core", for a deadline that passes in
    mid-message, the former when the channel is closed, and the latter for a server that is killed
    in mid-upload (grpcio 1.85, tried 2026-11-24).
    """
    try:
        return await answer
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        code = grpc.StatusCode.DEADLINE_EXCEEDED if _is_late(end) else grpc.StatusCode.CANCELLED
        raise _made_here(code, _ENDED_HERE) from error
    except aio.AioRpcError as error:
        if not is_answer_missed(error):
            raise
        if _is_late(end):
            raise _made_here(grpc.StatusCode.DEADLINE_EXCEEDED, _ENDED_HERE) from error
        raise _made_here(grpc.StatusCode.UNAVAILABLE, _NO_ANSWER) from error


def _is_late(end: float) -> bool:
    return asyncio.get_running_loop().time() + _CLOCK_SLACK_S >= end


def _made_here(code: grpc.StatusCode, details: str) -> aio.AioRpcError:
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), details)


class Group:
    """Base of the clients of one gRPC service each."""

    SERVICE: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _name(self, method: str) -> str:
        return f"{self.SERVICE}/{method}"

    async def _unary(
        self,
        method: str,
        call: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float,
        *,
        repeatable: bool,
    ) -> Response:
        async def once(left_s: float, metadata: Metadata) -> Response:
            return await call(request, timeout=left_s, metadata=metadata)

        return await self._connection.call(
            self._name(method), once, timeout_s, repeatable=repeatable
        )


def backoff_s(attempt: int) -> float:
    """Pause after the given attempt (from 1): doubling, bounded, with full jitter."""
    ceiling: float = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret
