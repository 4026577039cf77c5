"""The gRPC edge of the intake: parse, call, answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg

from etapa.observability.v1 import intake_pb2, intake_pb2_grpc
from services.observability.delivery import DeliveryIntake
from services.observability.domain import ViewTakenError
from services.observability.intake import Intake
from services.observability.keeper import Keeper
from services.observability.store import schema
from services.observability.wire_intake import Batch, batch_from, deliveries_from, tools_from
from services.runtime.db import Pool, transaction
from services.runtime.errors import InvalidInputError
from services.runtime.log import get_log

# Batches of one stream that may be under way before the next is read.
BATCHES_IN_FLIGHT = 8
_log = get_log(__name__)
Ack: TypeAlias = "asyncio.Task[intake_pb2.RecordEventsResponse]"


class IntakeServicer(intake_pb2_grpc.IntakeServiceServicer):
    """Events, callbacks and the catalogue come in here."""

    def __init__(
        self,
        pool: Pool,
        keeper: Keeper,
        intake: Intake,
        deliveries: DeliveryIntake,
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._intake = intake
        self._deliveries = deliveries
        self._now = now

    async def RecordEvents(
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[intake_pb2.RecordEventsResponse]:
        """Store batches; acknowledge them in order, each after its commit."""
        self._keeper.check_ready()
        under_way: asyncio.Queue[Ack | None] = asyncio.Queue()
        room = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._read(request_iterator, under_way, room))
        ]
        try:
            while (ack := await under_way.get()) is not None:
                tasks[1:] = [ack]
                yield await ack
                room.release()
            await tasks[0]
        finally:
            while not under_way.empty():
                left = under_way.get_nowait()
                tasks += [left] if left is not None else []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def RecordDeliveries(
        self, request: intake_pb2.RecordDeliveriesRequest, context: Any
    ) -> intake_pb2.RecordDeliveriesResponse:
        """Store callbacks that may not belong to a job yet."""
        self._keeper.check_ready()
        await self._deliveries.record(deliveries_from(request))
        return intake_pb2.RecordDeliveriesResponse()

    async def AnnounceTools(
        self, request: intake_pb2.AnnounceToolsRequest, context: Any
    ) -> intake_pb2.AnnounceToolsResponse:
        """Store the catalogue and make the view of each tool."""
        self._keeper.check_ready()
        tools = tools_from(request.tools)
        try:
            async with transaction(self._pool) as conn:
                await schema.upsert_tools(conn, tools)
                await schema.make_tool_views(conn, tools)
        except (asyncpg.DuplicateTableError, asyncpg.UniqueViolationError) as error:
            raise ViewTakenError(str(error)) from error
        except asyncpg.CheckViolationError as error:
            raise InvalidInputError(
                "a tool's name has lower case letters, digits and underscores, at most 40; its "
                "view is such a name too, at most 60",
                "tools",
            ) from error
        return intake_pb2.AnnounceToolsResponse()

    async def _read(
        self, requests: Any, under_way: asyncio.Queue[Ack | None], room: asyncio.Semaphore
    ) -> None:
        try:
            async for request in requests:
                batch = batch_from(request, self._now())
                under_way.put_nowait(asyncio.create_task(self._record(batch)))
                await room.acquire()
        finally:
            under_way.put_nowait(None)

    async def _record(self, batch: Batch) -> intake_pb2.RecordEventsResponse:
        refused = await self._intake.record(batch.events)
        rejected = batch.rejected + [(str(event.job_id), event.seq, why) for event, why in refused]
        response = intake_pb2.RecordEventsResponse(batch=batch.number)
        for job_id, seq, why in rejected:
            _log.error("event_rejected", job_id=job_id[:80], seq=seq, why=why)
            response.rejected.add(job_id=job_id, seq=seq, message=why)
        return response
