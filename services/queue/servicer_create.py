"""The gRPC edge of new jobs: one a call, or many, each of which is answered by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from etapa.queue.v1 import queue_pb2
from services.queue import check
from services.queue.desk import Admitted, CreateRequest
from services.queue.intake import Intake
from services.queue.mapping import job_to_proto
from services.queue.mapping_create import create_from, refusal_to_proto
from services.queue.reader import Reader
from services.queue.store_reads import JobView
from services.runtime.failpoints import failpoint
from services.runtime.grpc_status import bounded, told
from services.runtime.log import get_log
from services.runtime.traceparent import new_traceparent, trace_id_of

MAX_CREATES = 200
_METHOD = "/etapa.queue.v1.QueueService/CreateJobs"
_log = get_log(__name__)
# A job as its caller sees it, and whether it is new; or what went wrong.
_Seen: TypeAlias = "tuple[JobView, bool] | Exception"


class Creates:
    """Admits jobs for callers."""

    def __init__(self, intake: Intake, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._intake = intake
        self._reader = reader
        self._clock = clock

    async def one(
        self, request: queue_pb2.CreateJobRequest, traceparent: str
    ) -> queue_pb2.CreateJobResponse:
        """Admit a job. `traceparent` counts where the request names none."""
        admitted = await self._intake.create(create_from(request, traceparent))
        job = job_to_proto(await self.view(admitted), self._clock())
        return queue_pb2.CreateJobResponse(job=job, created=admitted.created)

    async def view(self, admitted: Admitted) -> JobView:
        """Return a job as its caller sees it; one that was found is read."""
        return admitted.view or await self._reader.get(admitted.job_id)

    async def many(
        self, requests: Sequence[queue_pb2.CreateJobRequest]
    ) -> queue_pb2.CreateJobsResponse:
        """Admit several jobs, in order; each is told what `one` would have told it."""
        check.whole("requests", len(requests), 1, MAX_CREATES)
        read = [_read(request) for request in requests]
        wanted = [each for each in read if isinstance(each, CreateRequest)]
        admitted = iter(await self._intake.create_all(wanted))
        failpoint("created_not_answered")
        results = [next(admitted) if isinstance(each, CreateRequest) else each for each in read]
        now, refusals = self._clock(), _Refusals()
        response = queue_pb2.CreateJobsResponse()
        for request, seen in zip(requests, await self._see(results), strict=True):
            if isinstance(seen, Exception):
                response.results.add(refusal=refusals.of(seen, request))
                continue
            view, created = seen
            answer = response.results.add().answer
            answer.job.CopyFrom(job_to_proto(view, now))
            answer.created = created
        return response

    async def _see(self, results: Sequence[Admitted | Exception]) -> list[_Seen]:
        """Give each job its view; those found are read together."""
        found = [each.job_id for each in results if isinstance(each, Admitted) and not each.view]
        views = iter(await self._reader.get_all(found) if found else ())
        seen: list[_Seen] = []
        for each in results:
            if isinstance(each, Exception):
                seen.append(each)
                continue
            view = each.view or next(views)
            seen.append(view if isinstance(view, Exception) else (view, each.created))
        return seen


class _Refusals:
    """The refusals of one call; an error that many share, such as an outage, is told once."""

    def __init__(self) -> None:
        self._told: dict[int, queue_pb2.Refusal] = {}

    def of(self, error: Exception, request: queue_pb2.CreateJobRequest) -> queue_pb2.Refusal:
        known = self._told.get(id(error))
        if known is None:
            answer = told(_METHOD, error, trace_id_of(request.traceparent), _log)
            known = self._told[id(error)] = refusal_to_proto(bounded(answer))
        return known


def _read(request: queue_pb2.CreateJobRequest) -> CreateRequest | Exception:
    try:
        return create_from(request, new_traceparent())
    except Exception as error:  # of this request alone; `told` decides what its caller learns
        return error
