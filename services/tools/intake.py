"""A request becomes a job: checked, admitted by the queue, its media prepared, then submitted.

What is wrong before admission leaves no job; what is wrong with the media fails the job at
`upload`, with its trail.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client import errors as queue_says
from etapa_client.errors import JobAlreadyFinalError, JobNotPendingError
from etapa_client.queue import QueueClient
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.ids import new_id
from services.runtime.log import get_log
from services.runtime.tracing import current_traceparent
from services.tools.creates import Creates
from services.tools.domain import (
    BadMediaError,
    RequestIdReusedError,
    Text,
    UploadCutError,
    UploadTimeoutError,
)
from services.tools.gather import MediaGatherer, upload_cut
from services.tools.media import PreparedMedia
from services.tools.registry import Registry
from services.tools.repeat import is_comparable, is_other
from services.tools.request import Chunk, RunRequest, check_request, display_name
from services.tools.schema import inputs_as_json, parse_inputs
from services.tools.seats import Seat, Seats, key_of
from services.tools.spool import REQUEST_PREFIX
from services.tools.tool import AnyTool, Inputs, RunPlan
from services.tools.wire import creation_to_proto, submission_to_proto

log = get_log(__name__)
_SETTLE_S = 0.25
# The SDK holds media back for twice as long when it repeats a call whose answer it lost.
_HELD_S = 1.0
# What the queue takes as a rejection's message, and as each of its facts.
_MESSAGE_CHARS = 4000
_FACT_CHARS = 1000
_OUR_FAULT = "something went wrong inside Etapa while it read the media; try again"


@dataclass(frozen=True, slots=True)
class _Checked:
    tool: AnyTool
    inputs: Inputs
    plan: RunPlan


class Intake:
    """Takes requests in. Close it after the server has stopped."""

    def __init__(
        self,
        registry: Registry,
        queue: QueueClient,
        gatherer: MediaGatherer,
        folder: Path,
        seats: Seats,
        *,
        cut_grace_s: float,
        time_scale: float = 1.0,
    ) -> None:
        self._registry = registry
        self._queue = queue
        self._creates = Creates(queue)
        self._gatherer = gatherer
        self._folder = folder
        self._seats = seats
        self._cut_grace_s = cut_grace_s
        self._time_scale = time_scale
        self._tasks: set[asyncio.Task[job_pb2.Job]] = set()
        self._closing = asyncio.Event()

    async def run(self, request: RunRequest, chunks: AsyncIterator[Chunk]) -> job_pb2.Job:
        """Make the job and return it: queued, or failed at `upload` or `credits`.

        Raises an `InvalidInputError`, `ToolNotFoundError`, `UploadsFullError` or the queue's
        refusal where no job was made, and an `UnavailableError` where the same request may work
        soon.
        """
        checked = self._check(request)
        if not request.sources:
            # Nothing is brought in, so no seat is needed, and nothing can be torn in two.
            return await self._create(request, checked)
        seat = await self._seats.take(key_of(request))
        left = asyncio.Event()
        # A task of its own: a caller who leaves must not tear a call to the queue in two.
        taking = asyncio.create_task(self._take(checked, request, chunks, seat, left))
        self._tasks.add(taking)
        taking.add_done_callback(self._tasks.discard)
        taking.add_done_callback(lambda _task: seat.give_back())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            left.set()
            taking.add_done_callback(_log_unheard)
            raise

    async def close(self) -> None:
        """Wait until what callers who left had begun is brought to an end."""
        self._closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._creates.drain()

    async def _take(
        self,
        checked: _Checked,
        request: RunRequest,
        chunks: AsyncIterator[Chunk],
        seat: Seat,
        left: asyncio.Event,
    ) -> job_pb2.Job:
        if left.is_set():  # while the seat was given; nothing has begun
            raise upload_cut()
        job = await self._create(request, checked)
        if job.failed_at_step == job_pb2.STEP_UPLOAD:
            # A repeat of what failed by its media; sending that again changes nothing.
            await self._refuse_other_media(job, checked.tool, request, chunks)
            return job
        job_id = job.job_id
        try:
            media = await self._gather(checked.tool, request, chunks)
        except UploadCutError as err:
            if await self._may_come_back(seat, left):
                raise
            return await self._refuse(job_id, request, err.failure_class, err)
        except BadMediaError as err:
            return await self._refuse(job_id, request, err.failure_class, err)
        except UnavailableError as err:
            if request.request_id:
                raise
            # Nobody can repeat this request, so its job must not hold the user's place.
            return await self._refuse(job_id, request, "internal", err)
        except Exception:
            # A fault of ours; the edge logs it, and the job says so instead of staying open.
            await self._refuse(job_id, request, "internal", EtapaError(_OUR_FAULT))
            raise
        seat.give_back()
        return await self._submit(job_id, request, submission_to_proto(checked.plan, media))

    async def _refuse_other_media(
        self, job: job_pb2.Job, tool: AnyTool, request: RunRequest, chunks: AsyncIterator[Chunk]
    ) -> None:
        """Raise `RequestIdReusedError` if the media is surely not what the job failed by.

        A caller who had its first answer cut off by its own upload holds the media back now.
        """
        if not is_comparable(job, request):
            return
        first = await _first_within(chunks, _HELD_S)
        if first is None:
            return
        try:
            await self._gather(tool, request, _chain(first, chunks))
        except BadMediaError as err:
            if not is_other(job, request, err, _fit(err.message, _MESSAGE_CHARS)):
                return
        raise RequestIdReusedError(request.request_id)

    def _check(self, request: RunRequest) -> _Checked:
        tool = self._registry.get(request.tool)
        inputs = parse_inputs(tool, request.input_json)
        check_request(tool, request)
        return _Checked(tool, inputs, tool.plan(inputs))

    async def _create(self, request: RunRequest, checked: _Checked) -> job_pb2.Job:
        named = request if request.request_id else replace(request, request_id=str(new_id()))
        wish = creation_to_proto(
            named, checked.plan, inputs_as_json(checked.inputs), current_traceparent()
        )
        return (await self._creates.create(wish)).job

    async def _submit(
        self, job_id: str, request: RunRequest, submission: queue_pb2.Submission
    ) -> job_pb2.Job:
        try:
            return await self._queue.submit_job(job_id=job_id, ready=submission)
        except queue_says.RequestIdReusedError as err:  # it knows the job by now, not the request
            raise RequestIdReusedError(request.request_id) from err

    async def _gather(
        self, tool: AnyTool, request: RunRequest, chunks: AsyncIterator[Chunk]
    ) -> list[PreparedMedia]:
        limit_s = tool.time_limits.upload_s * self._time_scale
        try:
            async with asyncio.timeout(limit_s):
                with tempfile.TemporaryDirectory(dir=self._folder, prefix=REQUEST_PREFIX) as folder:
                    return await self._gatherer.gather(tool, request.sources, chunks, Path(folder))
        except TimeoutError as err:
            raise _too_slow(limit_s) from err

    async def _refuse(
        self, job_id: str, request: RunRequest, failure_class: str, err: EtapaError
    ) -> job_pb2.Job:
        names = {source.name: display_name(source) for source in request.sources}
        file_name = names.get(err.facts.get("field", ""), ", ".join(names.values()))
        details = {**err.facts, "reason": err.reason, "fileName": file_name}
        rejected = queue_pb2.MediaRejection(
            error_class=failure_class,
            message=_fit(err.message, _MESSAGE_CHARS),
            details={name: _fit(value, _FACT_CHARS) for name, value in details.items()},
        )
        try:
            return await self._queue.submit_job(job_id=job_id, rejected=rejected)
        except (JobAlreadyFinalError, JobNotPendingError) as settled:
            # A repeated request, whose first call had settled the job already.
            job = await self._queue.get_job(job_id)
            if isinstance(err, BadMediaError) and is_other(job, request, err, rejected.message):
                raise RequestIdReusedError(request.request_id) from settled
            return job

    async def _may_come_back(self, seat: Seat, left: asyncio.Event) -> bool:
        """Say whether the caller of a cut upload is about to repeat it, or has done so.

        A client that lost its connection repeats the call within a few seconds and must find
        its job open; a user who walked away must not find it blocking the next one.
        """
        # grpc.aio ends the stream of a call that was cancelled as if its sender had closed it,
        # and cancels the handler a moment later (grpcio 1.85, tried 2026-11-24).
        if not await _is_set_within(left, _SETTLE_S):
            return False
        # While we stop, the repeat goes to another process; the queue's deadline ends the rest.
        return await seat.await_repeat(self._closing, self._cut_grace_s)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _first_within(chunks: AsyncIterator[Chunk], seconds: float) -> Chunk | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await anext(chunks, None)
    return None


async def _chain(first: Chunk, rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    yield first
    async for chunk in rest:
        yield chunk


def _fit(text: str, most: int) -> str:
    """Return a text that the queue takes: a refusal may quote what its sender made up.

    One that the queue refused in turn would leave the job open, and in its user's way.
    """
    plain = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _log_unheard(task: asyncio.Task[job_pb2.Job]) -> None:
    err = None if task.cancelled() else task.exception()
    if err is not None and not isinstance(err, UploadCutError):
        log.warning("run_failed_after_caller_left", cause=repr(err))


def _too_slow(limit_s: float) -> UploadTimeoutError:
    return UploadTimeoutError(
        "",
        Text(
            f"O arquivo não chegou em {limit_s:g} s. Verifique a conexão e envie de novo.",
            f"The file did not arrive within {limit_s:g} s. Check the connection, send it again.",
        ),
        {"limit_s": f"{limit_s:g}"},
    )
