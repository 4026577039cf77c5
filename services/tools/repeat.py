"""Whether a repeated request brings other media than the call that had settled its job. No I/O.

Media that was accepted, or refused for its content, is so every time. What was cut off, came too
slowly or could not be fetched says nothing about what it would have been: then nobody can know.
"""

from __future__ import annotations

from etapa.queue.v1 import job_pb2
from services.tools.domain import BadMediaError, MediaTooCostlyError
from services.tools.request import RunRequest

_OF_CONTENT = frozenset({"bad_media", "file_too_big"})
_ACCEPTED = frozenset(
    {
        job_pb2.JOB_STATUS_QUEUED,
        job_pb2.JOB_STATUS_STARTING,
        job_pb2.JOB_STATUS_RUNNING,
        job_pb2.JOB_STATUS_COMPLETED,
        job_pb2.JOB_STATUS_FAILED,
    }
)


def is_comparable(job: job_pb2.Job, request: RunRequest) -> bool:
    """Say whether this job failed by its content, so that sending that again would fail alike.

    What lies behind a URL may change, so only uploads count.
    """
    failed_by_content = job.failed_at_step == job_pb2.STEP_UPLOAD and job.error_class in _OF_CONTENT
    return failed_by_content and not any(source.url for source in request.sources)


def is_other(job: job_pb2.Job, request: RunRequest, refused: BadMediaError, message: str) -> bool:
    """Say whether media that is refused now, in that message, is surely not what came before."""
    by_url = {source.name for source in request.sources if source.url}
    if refused.failure_class not in _OF_CONTENT or isinstance(refused, MediaTooCostlyError):
        return False
    if refused.field in by_url:
        return False
    if job.failed_at_step != job_pb2.STEP_UPLOAD:
        return job.status in _ACCEPTED
    # Of several bad files the first one met is told, and which that is may differ.
    alone = len(request.sources) == 1
    told = (refused.failure_class, message)
    return alone and is_comparable(job, request) and told != (job.error_class, job.error_message)
