"""Reads of the history: the calls of TrailService, with streams that survive a lost server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime

from etapa.observability.v1 import event_pb2, trail_pb2, trail_pb2_grpc
from etapa.queue.v1 import job_pb2
from etapa_client.connection import READ_S, Group
from etapa_client.errors import UnavailableError
from etapa_client.resume import Patience

# How long a stream goes on trying while nothing arrives and no server answers.
PATIENCE_S = 60.0


class TrailClient(Group):
    """Where a job is, and if it failed, where, why, whose side, and what now."""

    SERVICE = "etapa.observability.v1.TrailService"

    @property
    def _stub(self) -> trail_pb2_grpc.TrailServiceAsyncStub:
        return self._connection.stub(trail_pb2_grpc.TrailServiceStub)

    async def get_trail(
        self, job_id: str, *, timeout_s: float = READ_S
    ) -> trail_pb2.GetTrailResponse:
        """Read the whole story of one job, without payload bodies. Raises JobNotFoundError."""
        request = trail_pb2.GetTrailRequest(job_id=job_id)
        return await self._unary(
            "GetTrail", self._stub.GetTrail, request, timeout_s, repeatable=True
        )

    async def watch(
        self,
        job_id: str,
        after_seq: int = 0,
        follow: bool = False,
        *,
        patience_s: float = PATIENCE_S,
    ) -> AsyncGenerator[event_pb2.Event, None]:
        """Yield a job's events in order, none lost and none twice, whatever servers come and go.

        Ends after the final status, unless `follow`. Raises SeqExpiredError, JobNotFoundError, and
        UnavailableError after `patience_s` without a server.
        """
        patience = Patience(patience_s)
        last = after_seq
        while True:
            request = trail_pb2.WatchRequest(job_id=job_id, after_seq=last, follow=follow)
            try:
                async with aclosing(self._watch_once(request)) as messages:
                    async for message in messages:
                        seq = message.event.seq
                        if message.WhichOneof("message") == "event" and seq > last:
                            _refuse_gap(last, seq)
                            last = seq
                            yield message.event
                        patience.renew()
                return
            except UnavailableError as error:
                await patience.pause(error)

    async def watch_jobs(
        self,
        *,
        user_id: str = "",
        tool: str = "",
        cursor: str = "",
        patience_s: float = PATIENCE_S,
    ) -> AsyncGenerator[trail_pb2.WatchJobsResponse, None]:
        """Yield changed jobs with the cursor after them; heartbeats come with no jobs.

        Never ends by itself. Raises CursorExpiredError, and UnavailableError after `patience_s`
        without a server.
        """
        patience = Patience(patience_s)
        while True:
            request = trail_pb2.WatchJobsRequest(user_id=user_id, tool=tool, cursor=cursor)
            try:
                async with aclosing(self._watch_jobs_once(request)) as messages:
                    async for message in messages:
                        patience.renew()
                        cursor = message.cursor or cursor
                        yield message
                raise UnavailableError("the stream of jobs ended", reason="STREAM_ENDED")
            except UnavailableError as error:
                await patience.pause(error)

    async def list_jobs(
        self,
        *,
        user_id: str = "",
        tool: str = "",
        statuses: Iterable[job_pb2.JobStatus.ValueType] = (),
        failed_at_step: job_pb2.Step.ValueType = job_pb2.STEP_UNSPECIFIED,
        error_class: str = "",
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float = READ_S,
    ) -> trail_pb2.ListJobsResponse:
        """List jobs, newest first. Times are aware datetimes."""
        request = trail_pb2.ListJobsRequest(
            user_id=user_id,
            tool=tool,
            statuses=statuses,
            failed_at_step=failed_at_step,
            error_class=error_class,
            page_size=page_size,
            page_token=page_token,
        )
        if created_from is not None:
            request.created_from.FromDatetime(created_from)
        if created_to is not None:
            request.created_to.FromDatetime(created_to)
        return await self._unary(
            "ListJobs", self._stub.ListJobs, request, timeout_s, repeatable=True
        )

    async def find(self, query: str, *, timeout_s: float = READ_S) -> Sequence[trail_pb2.FindMatch]:
        """Find jobs by any id or output URL, newest first."""
        request = trail_pb2.FindRequest(query=query)
        response = await self._unary("Find", self._stub.Find, request, timeout_s, repeatable=True)
        return response.matches

    async def get_payload(
        self, payload_id: str, *, job_id: str = "", timeout_s: float = READ_S
    ) -> trail_pb2.GetPayloadResponse:
        """Read one payload with its body. Raises PayloadNotFoundError."""
        request = trail_pb2.GetPayloadRequest(job_id=job_id, payload_id=payload_id)
        return await self._unary(
            "GetPayload", self._stub.GetPayload, request, timeout_s, repeatable=True
        )

    def _watch_once(
        self, request: trail_pb2.WatchRequest
    ) -> AsyncGenerator[trail_pb2.WatchResponse, None]:
        return self._connection.stream(
            self._name("Watch"), lambda metadata: self._stub.Watch(request, metadata=metadata)
        )

    def _watch_jobs_once(
        self, request: trail_pb2.WatchJobsRequest
    ) -> AsyncGenerator[trail_pb2.WatchJobsResponse, None]:
        return self._connection.stream(
            self._name("WatchJobs"),
            lambda metadata: self._stub.WatchJobs(request, metadata=metadata),
        )


def _refuse_gap(last: int, seq: int) -> None:
    if seq != last + 1:
        # Seen from here a gap is a server that skipped something: ask it again from `last`.
        raise UnavailableError(
            f"the stream skipped from event {last} to {seq}",
            reason="SEQ_GAP",
            facts={"last": str(last), "seq": str(seq)},
        )
