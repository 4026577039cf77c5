"""What the other services tell observability: the calls of IntakeService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from grpc import aio

from etapa.observability.v1 import intake_pb2, intake_pb2_grpc
from etapa.queue.v1 import operations_pb2
from etapa_client.connection import WRITE_S, Group

Batch = TypeVar("Batch")
# In words: the oldest grpcio that is allowed knows no subscript.
EncodedCall: TypeAlias = "aio.StreamStreamMultiCallable[bytes, intake_pb2.RecordEventsResponse]"


class IntakeClient(Group):
    """Events, callbacks and the catalogue go in here."""

    SERVICE = "etapa.observability.v1.IntakeService"

    @property
    def _stub(self) -> intake_pb2_grpc.IntakeServiceAsyncStub:
        return self._connection.stub(intake_pb2_grpc.IntakeServiceStub)

    def record_events(
        self, batches: AsyncIterable[intake_pb2.RecordEventsRequest], *, in_flight: int = 8
    ) -> AsyncGenerator[intake_pb2.RecordEventsResponse, None]:
        """Send batches and yield their acknowledgements, at most `in_flight` unacknowledged.

        One stream, never resumed: on UnavailableError send what was not acknowledged again. Ends
        when `batches` has ended and all are acknowledged; an error of `batches` is raised here.
        """
        return self._record(batches, self._stub.RecordEvents, in_flight)

    def record_encoded_events(
        self, batches: AsyncIterable[bytes], *, in_flight: int = 8
    ) -> AsyncGenerator[intake_pb2.RecordEventsResponse, None]:
        """As `record_events`, for batches that are serialised already."""
        call: EncodedCall = self._connection.channel.stream_stream(
            f"/{self._name('RecordEvents')}",
            response_deserializer=intake_pb2.RecordEventsResponse.FromString,
        )
        return self._record(batches, call, in_flight)

    async def _record(
        self,
        batches: AsyncIterable[Batch],
        call: aio.StreamStreamMultiCallable[Batch, intake_pb2.RecordEventsResponse],
        in_flight: int,
    ) -> AsyncGenerator[intake_pb2.RecordEventsResponse, None]:
        room = asyncio.Semaphore(in_flight)
        failure: list[Exception] = []

        async def bounded() -> AsyncIterator[Batch]:
            try:
                async for batch in batches:
                    await room.acquire()
                    yield batch
            except Exception as error:
                # grpc.aio would log this and cancel the call, and the caller would see neither.
                failure.append(error)

        messages = self._connection.stream(
            self._name("RecordEvents"), lambda metadata: call(bounded(), metadata=metadata)
        )
        async with aclosing(messages):
            async for message in messages:
                room.release()
                yield message
        if failure:
            raise failure[0]

    async def record_deliveries(
        self, deliveries: Sequence[intake_pb2.Delivery], *, timeout_s: float = WRITE_S
    ) -> None:
        """Store callbacks as received, at most 500 and 3 MiB. Idempotent by delivery id."""
        request = intake_pb2.RecordDeliveriesRequest(deliveries=deliveries)
        await self._unary(
            "RecordDeliveries", self._stub.RecordDeliveries, request, timeout_s, repeatable=True
        )

    async def announce_tools(
        self, tools: Sequence[operations_pb2.ToolAnnouncement], *, timeout_s: float = WRITE_S
    ) -> None:
        """Store the whole catalogue at observability. Idempotent."""
        request = intake_pb2.AnnounceToolsRequest(tools=tools)
        await self._unary(
            "AnnounceTools", self._stub.AnnounceTools, request, timeout_s, repeatable=True
        )
