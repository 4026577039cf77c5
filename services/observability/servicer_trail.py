"""The gRPC edge of the reads: parse, call, answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import lru_cache
from typing import Any

from etapa.observability.v1 import trail_pb2, trail_pb2_grpc
from services.observability.chapter import StoredEvent
from services.observability.feeds import Feeds
from services.observability.find import find_jobs
from services.observability.keeper import Keeper
from services.observability.page import list_page
from services.observability.store.dictionary import Dictionaries
from services.observability.store.row import JobFilter
from services.observability.trail import get_payload, get_trail
from services.observability.watch import Watch
from services.observability.watch_jobs import JobsWatch
from services.observability.wire_trail import (
    event_to_proto,
    filter_from,
    payload_to_proto,
    summary_to_proto,
    trail_to_proto,
)
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool
from services.runtime.errors import InvalidInputError
from services.runtime.ids import read_id


class TrailServicer(trail_pb2_grpc.TrailServiceServicer):
    """Reads of the history."""

    def __init__(
        self,
        pool: Pool,
        blobs: BlobStore,
        keeper: Keeper,
        feeds: Feeds,
        heartbeat_s: float,
    ) -> None:
        self._pool = pool
        self._blobs = blobs
        self._keeper = keeper
        self._feeds = feeds
        self._heartbeat_s = heartbeat_s
        self._dictionaries = Dictionaries()

    async def GetTrail(
        self, request: trail_pb2.GetTrailRequest, context: Any
    ) -> trail_pb2.GetTrailResponse:
        """Return the whole story of one job."""
        self._keeper.check_ready()
        job_id = read_id("job_id", request.job_id)
        return trail_to_proto(await get_trail(self._pool, self._dictionaries, job_id))

    async def Watch(self, request: trail_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        """Stream a job's events from a number on."""
        self._keeper.check_ready()
        if request.after_seq < 0:
            raise InvalidInputError(f"after_seq={request.after_seq} is below 0", "after_seq")
        watch = Watch(
            self._pool,
            self._feeds.events,
            read_id("job_id", request.job_id),
            after_seq=request.after_seq,
            follow=request.follow,
            heartbeat_s=self._heartbeat_s,
        )
        async with aclosing(watch.events()) as events:
            async for event in events:
                if event is None:
                    yield trail_pb2.WatchResponse(heartbeat=watch.seq)
                else:
                    yield _news_of(event)

    async def WatchJobs(
        self, request: trail_pb2.WatchJobsRequest, context: Any
    ) -> AsyncIterator[trail_pb2.WatchJobsResponse]:
        """Stream jobs that match, then each change."""
        self._keeper.check_ready()
        watch = JobsWatch(
            self._pool,
            self._feeds.jobs,
            JobFilter(user_id=request.user_id or None, tool=request.tool or None),
            cursor=request.cursor,
            heartbeat_s=self._heartbeat_s,
        )
        async with aclosing(watch.messages()) as messages:
            async for message in messages:
                yield trail_pb2.WatchJobsResponse(
                    jobs=map(summary_to_proto, message.jobs), cursor=message.cursor
                )

    async def ListJobs(
        self, request: trail_pb2.ListJobsRequest, context: Any
    ) -> trail_pb2.ListJobsResponse:
        """Return one page of jobs, newest first."""
        self._keeper.check_ready()
        page = await list_page(
            self._pool, filter_from(request), request.page_size, request.page_token
        )
        return trail_pb2.ListJobsResponse(
            jobs=map(summary_to_proto, page.jobs), next_page_token=page.next_token
        )

    async def Find(self, request: trail_pb2.FindRequest, context: Any) -> trail_pb2.FindResponse:
        """Return the jobs that any id belongs to."""
        self._keeper.check_ready()
        response = trail_pb2.FindResponse()
        for job, matched in await find_jobs(self._pool, request.query):
            response.matches.add(job=summary_to_proto(job), matched=matched)
        return response

    async def GetPayload(
        self, request: trail_pb2.GetPayloadRequest, context: Any
    ) -> trail_pb2.GetPayloadResponse:
        """Return one payload with its bytes."""
        self._keeper.check_ready()
        job_id = read_id("job_id", request.job_id) if request.job_id else None
        payload_id = read_id("payload_id", request.payload_id)
        payload = await get_payload(self._pool, self._blobs, self._dictionaries, job_id, payload_id)
        return payload_to_proto(payload)


@lru_cache(maxsize=256)
def _news_of(event: StoredEvent) -> bytes:
    # As bytes: encoded once for all who watch.
    return trail_pb2.WatchResponse(event=event_to_proto(event)).SerializeToString()
