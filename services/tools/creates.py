"""Takes new jobs to the queue, many a call: what comes while a call is under way forms the next.

Timer-free, as `runtime/batch.py`: one alone goes at once. Each is answered by itself, and its
deadline is its own. A call that takes long, at a queue process that hangs, say, holds up only who
is in it: those who came later go in a call of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import grpc
from opentelemetry.trace import SpanKind

from etapa.queue.v1 import queue_pb2
from etapa_client.connection import WRITE_S
from etapa_client.errors import DeadlineExceededError, EtapaError
from etapa_client.queue import MOST_CREATES, QueueClient
from services.runtime.tracing import start_span
from services.tools.domain import QueueSlowError

# Of the 4 MiB that a message may have; answers are smaller than what they answer.
MOST_BYTES = 3 * 1024 * 1024
# How long a call is waited for before the next one is made beside it.
PATIENCE_S = 0.25
# What waits and what is under way, together.
MOST_OPEN, MOST_OPEN_BYTES = 4096, 64 * 1024 * 1024
_FRAME_BYTES = 16
# Errors of a call that may lie in one of its requests, or in the size of all: smaller parts tell.
_OF_CONTENT = frozenset(
    {
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


@dataclass(slots=True, eq=False)
class _Wish:
    request: queue_pb2.CreateJobRequest
    bytes: int
    until: float
    done: asyncio.Future[queue_pb2.CreateJobResponse]


class Creates:
    """Takes requests to create jobs. Each must have a request id, so that a repeat is harmless."""

    def __init__(self, queue: QueueClient, *, patience_s: float = PATIENCE_S) -> None:
        self._queue = queue
        self._patience_s = patience_s
        # Asked for once: until Python 3.12 each question is a system call.
        self._loop = asyncio.get_running_loop()
        # In order of arrival.
        self._waiting: dict[_Wish, None] = {}
        self._open = self._open_bytes = 0
        self._calls: set[asyncio.Task[None]] = set()
        # The call whose end those who wait are waiting for.
        self._awaited: asyncio.Task[None] | None = None

    async def create(
        self, request: queue_pb2.CreateJobRequest, *, timeout_s: float = WRITE_S
    ) -> queue_pb2.CreateJobResponse:
        """Create a job as `QueueClient.create_job` does, and raise what that raises.

        A caller who is cancelled takes back what has not been sent. Raises `QueueSlowError` if too
        much waits already.
        """
        size = request.ByteSize() + _FRAME_BYTES
        if self._open >= MOST_OPEN or self._open_bytes + size > MOST_OPEN_BYTES:
            raise QueueSlowError(self._open)
        until = self._loop.time() + timeout_s
        wish = _Wish(request, size, until, self._loop.create_future())
        self._count(wish, 1)
        self._waiting[wish] = None
        if self._awaited is None:
            self._call()
        deadline = self._loop.call_at(until, _give_up, wish)
        try:
            return await wish.done
        finally:
            deadline.cancel()
            if wish in self._waiting:
                del self._waiting[wish]
                self._count(wish, -1)

    async def drain(self) -> None:
        """Wait until nothing waits or is under way."""
        while self._calls:
            await asyncio.wait(self._calls)

    def _call(self) -> None:
        call = self._awaited = self._loop.create_task(self._send_next(), name="creates")
        self._calls.add(call)
        patience = self._loop.call_later(self._patience_s, self._go_on, call)
        call.add_done_callback(lambda _call: patience.cancel())
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(self._go_on)

    def _go_on(self, call: asyncio.Task[None]) -> None:
        """Let those who wait wait no longer for that call."""
        if self._awaited is call:
            self._awaited = None
            if self._waiting:
                self._call()

    async def _send_next(self) -> None:
        batch = self._next_batch()
        try:
            if batch:
                await self._send(batch)
        finally:
            for wish in batch:
                self._count(wish, -1)

    def _next_batch(self) -> list[_Wish]:
        batch: list[_Wish] = []
        room = MOST_BYTES
        for wish in self._waiting:
            if len(batch) >= MOST_CREATES or (batch and wish.bytes > room):
                break
            if not wish.done.done():  # or else its caller is about to leave
                room -= wish.bytes
                batch.append(wish)
        for wish in batch:
            del self._waiting[wish]
        return batch

    def _count(self, wish: _Wish, by: int) -> None:
        self._open += by
        self._open_bytes += by * wish.bytes

    async def _send(self, batch: Sequence[_Wish]) -> None:
        try:
            results = await self._create_all(batch)
        except asyncio.CancelledError:
            for wish in batch:
                wish.done.cancel()
            raise
        except Exception as error:
            if len(batch) > 1 and _may_be_of_one(error):
                half = len(batch) // 2
                await self._send(batch[:half])
                await self._send(batch[half:])
            else:
                _answer(batch, [_own(error) for _ in batch])
        else:
            _answer(batch, results)

    async def _create_all(
        self, batch: Sequence[_Wish]
    ) -> Sequence[queue_pb2.CreateJobResponse | EtapaError]:
        left_s = max(wish.until for wish in batch) - self._loop.time()
        # Not below the first caller's span, whose trace tells of one job.
        with start_span("create jobs", parent="", kind=SpanKind.PRODUCER) as span:
            span.link(wish.request.traceparent for wish in batch)
            return await self._queue.create_jobs(
                [wish.request for wish in batch], timeout_s=max(left_s, 0.001)
            )


def _give_up(wish: _Wish) -> None:
    if not wish.done.done():
        error = DeadlineExceededError(
            "The queue gave no answer in time. Read the state again before repeating.",
            reason="DEADLINE_EXCEEDED",
            code=grpc.StatusCode.DEADLINE_EXCEEDED,
        )
        wish.done.set_exception(error)


def _may_be_of_one(error: Exception) -> bool:
    return not isinstance(error, EtapaError) or error.code in _OF_CONTENT


def _own(error: Exception) -> Exception:
    """Return an error that one caller may raise beside the others."""
    return copy(error) if isinstance(error, EtapaError) else error


def _answer(
    batch: Sequence[_Wish], results: Sequence[queue_pb2.CreateJobResponse | Exception]
) -> None:
    for wish, result in zip(batch, results, strict=True):
        if wish.done.done():
            continue
        if isinstance(result, Exception):
            wish.done.set_exception(result)
        else:
            wish.done.set_result(result)
