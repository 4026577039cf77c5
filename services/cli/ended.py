"""Waiting for a job and telling how it ended; shared by `run --wait` and `retry --wait`."""

from __future__ import annotations

import asyncio

import typer

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.names import FINAL_STATUSES
from etapa_client.words import Words
from services.cli.follow import Display, follow_to_end, wait_final
from services.cli.session import Session, explain
from services.cli.story import AWAY, Story, read_whole_story, story_to_json
from services.cli.trail_view import arriving_line, ending, headline

EXIT_JOB_FAILED = 3
EXIT_INTERRUPTED = 130

_GOES_ON = Words(
    "o job continua: `etapa watch {job}` o acompanha, `etapa cancel {job}` o cancela",
    "the job goes on: `etapa watch {job}` follows it, `etapa cancel {job}` cancels it",
)


async def wait_and_tell(session: Session, client: EtapaClient, job: job_pb2.Job) -> job_pb2.Job:
    """Follow a job to its end, print its trail, and return the job as it ended."""
    try:
        return await _follow(session, client, job)
    except asyncio.CancelledError:  # Ctrl-C ends the waiting, never the job
        session.warn(session.say(_GOES_ON, job=job.job_id))
        raise


async def _follow(session: Session, client: EtapaClient, job: job_pb2.Job) -> job_pb2.Job:
    if session.as_json:
        await wait_final(client, job.job_id)
        session.json(story_to_json(await read_whole_story(client, job.job_id)))
        return await client.queue.get_job(job.job_id)
    session.line(headline(job, session.language))
    await follow_to_end(client, job.job_id, Display(session))
    story = await _read_if_there(session, client, job.job_id)
    session.lines(ending(story, session.language))
    if story.arriving:
        session.line(arriving_line(story, session.language))
    return story.job if story.job is not None else job


async def _read_if_there(session: Session, client: EtapaClient, job_id: str) -> Story:
    """Return the story; while the history is away, what the queue says of the end."""
    try:
        return await read_whole_story(client, job_id)
    except AWAY as error:
        session.warn(explain(session, error))
        job = await client.queue.get_job(job_id)
        return Story(trail_pb2.GetTrailResponse(job=trail_pb2.JobSummary(job_id=job_id)), job)


def finish(job: job_pb2.Job, *, waited: bool) -> None:
    """End the command: with 3 if it waited for a job that did not complete."""
    if waited and job.status in FINAL_STATUSES and job.status != job_pb2.JOB_STATUS_COMPLETED:
        raise typer.Exit(EXIT_JOB_FAILED)
