"""What surrounds every RPC: its span, the deadline rule, and the one place where errors end.

Handlers are wrapped when they are registered, since an interceptor costs something on every call.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from services.runtime.error_table import Answer
from services.runtime.errors import MalformedRequestError
from services.runtime.grpc_status import bounded, status_of, told
from services.runtime.log import get_log

DEADLINE_EXEMPT = frozenset(
    {
        "/etapa.observability.v1.TrailService/Watch",
        "/etapa.observability.v1.TrailService/WatchJobs",
        "/etapa.observability.v1.IntakeService/RecordEvents",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    }
)
_NO_DEADLINE = Answer(
    grpc.StatusCode.INVALID_ARGUMENT,
    "DEADLINE_REQUIRED",
    "This call needs a deadline. Set one in the client (in Python: timeout=10, in seconds).",
)
_STOPPING = Answer(
    grpc.StatusCode.UNAVAILABLE,
    "SERVER_STOPPING",
    "This server is stopping. Connect again; a stream resumes from the last number seen.",
    retry_after_s=0.5,
)
_log = get_log(__name__)

# grpc's own classes can't be subscripted; its stubs want it.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Behavior: TypeAlias = "Callable[[Any, Context], Awaitable[Any]]"


class ServerSpan(Protocol):
    """One RPC as the tracer sees it."""

    trace_id: str

    def end(self, code: grpc.StatusCode, error: BaseException | None = None) -> None:
        """Close the span with the RPC's final status."""


SpanStarter: TypeAlias = "Callable[[str, Context], ServerSpan]"


class Edge:
    """Wraps handlers: deadline rule, error table, span, and an orderly end on `drain()`."""

    def __init__(self, start_span: SpanStarter, log: Any = _log) -> None:
        self._start_span = start_span
        self._log = log
        self._streams: set[asyncio.Task[Any]] = set()
        self._calls: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return the handler of a full method, `/package.Service/Method`, with all that."""
        run = self._guard(method, _behavior_of(handler))
        return _handler_like(handler, run, _reader(method, handler))

    async def drain(self, grace_s: float) -> None:
        """End streams without a deadline now, wait for other calls, end those left at the last."""
        self._end(self._streams)
        calls = set(self._calls)
        if calls and grace_s > 0:
            await asyncio.wait(calls, timeout=grace_s)
        left = self._streams | self._calls
        self._end(left)
        if left:
            await asyncio.wait(left, timeout=1)

    def _end(self, tasks: set[asyncio.Task[Any]]) -> None:
        for task in tuple(tasks):
            self._ended.add(task)
            task.cancel()

    def _guard(self, method: str, behavior: Behavior) -> Behavior:
        exempt = method in DEADLINE_EXEMPT
        tasks = self._streams if exempt else self._calls

        async def guarded(request: Any, context: Context) -> Any:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - grpc.aio runs every RPC in a task of its own
            tasks.add(task)
            span = self._start_span(method, context)
            failure: BaseException | None = None
            try:
                if not exempt and context.time_remaining() is None:
                    await abort(context, _NO_DEADLINE)
                if isinstance(request, MalformedRequestError):
                    raise request
                return await behavior(request, context)
            except aio.AbortError as error:
                failure = error
                raise
            except asyncio.CancelledError as error:
                failure = error
                if task not in self._ended:
                    raise
                task.uncancel()
                await abort(context, _STOPPING)
            except Exception as error:
                failure = error
                await abort(context, told(method, error, span.trace_id, self._log))
            finally:
                tasks.discard(task)
                self._ended.discard(task)
                span.end(_final_code(context, failure), failure)

        return guarded


def refuse_blocking(servicer: object) -> None:
    """Raise TypeError for a method that is not `async def`: it would stop the whole server."""
    for name, method in inspect.getmembers(servicer, inspect.ismethod):
        waits = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
        if name[0].isupper() and not waits:
            raise TypeError(f"{type(servicer).__name__}.{name} must be `async def`")


async def abort(context: Context, answer: Answer) -> None:
    """End the RPC with the answer as google.rpc.Status: ErrorInfo, and what else fits it."""
    status = status_of(bounded(answer))
    await context.abort(
        answer.code,
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )


def _final_code(context: Context, failure: BaseException | None) -> grpc.StatusCode:
    code = context.code()
    if isinstance(code, int):
        code = _CODES.get(code, grpc.StatusCode.UNKNOWN)
    if code and code is not grpc.StatusCode.OK:
        return code
    if failure is None:
        return grpc.StatusCode.OK
    # A deadline that passed arrives as a cancel too; only the client's span can tell them apart.
    cancelled = isinstance(failure, asyncio.CancelledError)
    return grpc.StatusCode.CANCELLED if cancelled else grpc.StatusCode.UNKNOWN


_CODES = {code.value[0]: code for code in grpc.StatusCode}


class _Messages:
    """The messages of a stream, one by one.

    grpc.aio's own iterator is an async generator. One that is not read to its end, as where the
    first message is all there is to know, costs a task that closes it.
    """

    def __init__(self, context: Context) -> None:
        self._read = context.read
        self._ended = False

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> Any:
        if self._ended:
            raise StopAsyncIteration
        message = await self._read()
        if message is aio.EOF:
            self._ended = True
            raise StopAsyncIteration
        return message


def _behavior_of(handler: Handler) -> Behavior:
    function: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    if function is None:
        raise TypeError("a gRPC handler without a function")
    answer: Behavior = _writer(function) if inspect.isasyncgenfunction(function) else function
    if not handler.request_streaming:
        return answer

    async def answer_stream(_iterator: Any, context: Context) -> Any:
        return await answer(_Messages(context), context)

    return answer_stream


def _reader(method: str, handler: Handler) -> Callable[[bytes], Any]:
    # grpc reads a single request before the handler runs, outside of all that answers errors: so
    # what went wrong is handed in as the request. Messages of a stream are read by the handler.
    parse: Any = handler.request_deserializer
    is_stream = handler.request_streaming

    def read(raw: bytes) -> Any:
        try:
            return parse(raw)
        except DecodeError as error:
            malformed = MalformedRequestError(method)
            if is_stream:
                raise malformed from error
            return malformed

    return read


def _writer(generate: Callable[[Any, Context], AsyncGenerator[Any, None]]) -> Behavior:
    # As a coroutine that writes, the whole stream lives in one frame: a span can be held around
    # it, and its end is seen whatever ends it.
    async def write_all(request: Any, context: Context) -> None:
        async with aclosing(generate(request, context)) as messages:
            async for message in messages:
                await context.write(message)

    return write_all


def _serializer(handler: Handler) -> Callable[[Any], bytes]:
    serialize: Any = handler.response_serializer
    # What many streams are sent is handed in as bytes, serialised once.
    return lambda message: message if type(message) is bytes else serialize(message)


def _handler_like(handler: Handler, run: Behavior, read: Callable[[bytes], Any]) -> Handler:
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    made: Handler = make(run, read, _serializer(handler))
    return made
