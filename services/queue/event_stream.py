"""One stream of event batches to observability, shared by all who send, each told of its own.

A batch is the packs that it is made of, joined, with a number before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from etapa.observability.v1 import intake_pb2
from etapa_client.errors import UnavailableError
from etapa_client.intake import IntakeClient


class EventStream:
    """Sends batches in the order of `send()`. Opened by the first; anew after an error."""

    def __init__(self, intake: IntakeClient, *, ack_timeout_s: float = 30.0) -> None:
        self._intake = intake
        self._ack_timeout_s = ack_timeout_s
        self._number = 0
        self._stream: _Open | None = None

    async def send(self, packs: Sequence[bytes]) -> Sequence[intake_pb2.RejectedEvent]:
        """Return what was rejected of a batch once the rest is committed over there.

        Raises the client's `EtapaError`; then nothing is known of the batch, and sending it again
        is harmless.
        """
        if self._stream is None or self._stream.task.done():
            self._stream = _Open(self._intake)
        return await self._send(self._stream, packs)

    async def send_alone(self, packs: Sequence[bytes]) -> Sequence[intake_pb2.RejectedEvent]:
        """As `send()`, over a stream of its own: an error is this batch's and nobody else's."""
        stream = _Open(self._intake)
        try:
            return await self._send(stream, packs)
        finally:
            await stream.close()

    async def close(self) -> None:
        """End the stream; what is under way fails with a cancel of its own."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _send(
        self, stream: _Open, packs: Sequence[bytes]
    ) -> Sequence[intake_pb2.RejectedEvent]:
        self._number += 1
        number = intake_pb2.RecordEventsRequest(batch=self._number).SerializeToString()
        try:
            async with asyncio.timeout(self._ack_timeout_s):
                return await stream.send(self._number, b"".join([number, *packs]))
        except TimeoutError:
            stream.task.cancel()
            raise UnavailableError(
                f"observability acknowledged no batch within {self._ack_timeout_s:g} s",
                reason="TIMED_OUT",
            ) from None


class _Open:
    """One call of RecordEvents."""

    def __init__(self, intake: IntakeClient) -> None:
        self._intake = intake
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._acks: dict[int, asyncio.Future[Sequence[intake_pb2.RejectedEvent]]] = {}
        self.task = asyncio.create_task(self._run(), name="event_stream")

    async def send(self, number: int, request: bytes) -> Sequence[intake_pb2.RejectedEvent]:
        ack: asyncio.Future[Sequence[intake_pb2.RejectedEvent]]
        ack = self._acks[number] = asyncio.get_running_loop().create_future()
        self._requests.put_nowait(request)
        try:
            return await ack
        finally:
            self._acks.pop(number, None)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        failure: BaseException = UnavailableError("observability ended the stream of events")
        try:
            async for response in self._intake.record_encoded_events(self._sent()):
                ack = self._acks.get(response.batch)
                if ack is not None and not ack.done():
                    ack.set_result(response.rejected)
        except asyncio.CancelledError:
            failure = UnavailableError("the stream of events was closed")
            raise
        except Exception as error:
            failure = error
        finally:
            # A call that has ended still waits for its next request, and would for ever.
            self._requests.put_nowait(None)
            for ack in list(self._acks.values()):
                if not ack.done():
                    ack.set_exception(failure)

    async def _sent(self) -> AsyncIterator[bytes]:
        while (request := await self._requests.get()) is not None:
            yield request
