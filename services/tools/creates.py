"""Takes new jobs to the queue, many a call: what comes while a call is under way forms the next.

Timer-free, as `runtime/batch.py`: one alone goes at once. Each is answered by itself, and its
deadline is its own. A call that takes long, at a queue process that hangs, say, holds up only who
is in it: those who came later go in a call of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
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
# Errors that say nothing of what was sent: it would fare no better in smaller parts.
_ON_THE_WAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
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
        self._clock = asyncio.get_running_loop().time
        self._waiting: deque[_Wish] = deque()
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
        loop = asyncio.get_running_loop()
        wish = _Wish(request, size, self._clock() + timeout_s, loop.create_future())
        self._open += 1
        self._open_bytes += size
        self._waiting.append(wish)
        if self._awaited is None:
            self._call()
        try:
            async with asyncio.timeout_at(wish.until):
                return await wish.done
        except TimeoutError as error:
            raise DeadlineExceededError(
                "The queue gave no answer in time. Read the state again before repeating.",
                reason="DEADLINE_EXCEEDED",
                code=grpc.StatusCode.DEADLINE_EXCEEDED,
            ) from error
        finally:
            self._open -= 1
            self._open_bytes -= size

    async def drain(self) -> None:
        """Wait until nothing waits or is under way."""
        while self._calls:
            await asyncio.wait(self._calls)

    def _call(self) -> None:
        call = self._awaited = asyncio.create_task(self._send_next(), name="creates")
        self._calls.add(call)
        patience = asyncio.get_running_loop().call_later(self._patience_s, self._go_on, call)
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
        if batch := self._next_batch():
            await self._send(batch)

    def _next_batch(self) -> list[_Wish]:
        batch: list[_Wish] = []
        room = MOST_BYTES
        while self._waiting and len(batch) < MOST_CREATES:
            wish = self._waiting[0]
            if wish.done.done():  # its caller has left
                self._waiting.popleft()
                continue
            if batch and wish.bytes > room:
                break
            room -= wish.bytes
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: Sequence[_Wish]) -> None:
        try:
            results = await self._create_all(batch)
        except asyncio.CancelledError:
            for wish in batch:
                wish.done.cancel()
            raise
        except Exception as error:
            if len(batch) == 1 or not _may_be_of_one(error):
                _answer(batch, [copy(error) for _ in batch])
                return
            half = len(batch) // 2
            await self._send(batch[:half])
            await self._send(batch[half:])
        else:
            _answer(batch, results)

    async def _create_all(
        self, batch: Sequence[_Wish]
    ) -> Sequence[queue_pb2.CreateJobResponse | EtapaError]:
        left_s = max(wish.until for wish in batch) - self._clock()
        # Not below the first caller's span, whose trace tells of one job.
        with start_span("create jobs", parent="", kind=SpanKind.PRODUCER) as span:
            span.link(wish.request.traceparent for wish in batch)
            return await self._queue.create_jobs(
                [wish.request for wish in batch], timeout_s=max(left_s, 0.001)
            )


def _may_be_of_one(error: Exception) -> bool:
    """Tell whether one request, or the size of all together, may be what failed the call."""
    return not isinstance(error, EtapaError) or error.code not in _ON_THE_WAY


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
