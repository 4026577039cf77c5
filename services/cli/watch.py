"""`etapa watch`, `cancel`, `retry`: follows a job live, ends one, tries one again."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.names import FINAL_STATUSES
from etapa_client.trail import job_to_json
from etapa_client.words import Words
from services.cli.ended import finish, wait_and_tell
from services.cli.follow import Display, watch_to_end
from services.cli.session import AsJson, Lang, Session, open_session, run
from services.cli.story import read_story
from services.cli.trail_view import ending, headline

JobId = Annotated[str, typer.Argument(metavar="ID", help="job id")]
_ASKED = Words(
    "Cancelamento pedido; o provedor ainda decide. Acompanhe: etapa watch {job}",
    "Cancel asked for; the provider has still to say so. Follow it: etapa watch {job}",
)
_RETRIES = Words("Nova tentativa de {job}", "Tries {job} again")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(watch)
    app.command()(cancel)
    app.command()(retry)


def watch(
    context: typer.Context,
    job_id: JobId,
    after: Annotated[int, typer.Option("--after", min=0, help="go on after this seq")] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="stay after the end, for late results")
    ] = False,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Follow a job as it happens, to its end; lost servers are waited for, nothing is missed."""
    session = open_session(context, lang, as_json)

    async def main(client: EtapaClient) -> None:
        display = Display(session, eager=not session.out.is_terminal)
        await watch_to_end(client, job_id, display, after, follow=follow)
        if not as_json:
            story, _ = await read_story(client, job_id)
            session.lines(ending(story, session.language))

    run(session, main)


def cancel(
    context: typer.Context,
    job_id: JobId,
    reason: Annotated[str, typer.Option("--reason", help="why, for the history")] = "",
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Ask for the end of a job; credits come back."""
    session = open_session(context, lang, as_json)
    job = run(session, lambda client: client.queue.cancel_job(job_id, reason=reason))
    _tell(session, job)
    if not as_json and job.status not in FINAL_STATUSES:
        session.line(f"  {session.say(_ASKED, job=job.job_id)}")


def retry(
    context: typer.Context,
    job_id: JobId,
    request_id: Annotated[
        str, typer.Option("--request-id", help="repeat the command with it: still one job")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", "-w", help="follow it; 3 if it fails")] = False,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Make a new job from a finished one, with the same inputs and media."""
    session = open_session(context, lang, as_json)

    async def main(client: EtapaClient) -> job_pb2.Job:
        made = await client.queue.retry_job(job_id, request_id=request_id or str(uuid4()))
        if wait:
            return await wait_and_tell(session, client, made.job)
        _tell(session, made.job)
        return made.job

    job = run(session, main)
    if not as_json and not wait:
        session.line(f"  {session.say(_RETRIES, job=job_id)}")
    finish(job, waited=wait)


def _tell(session: Session, job: job_pb2.Job) -> None:
    if session.as_json:
        session.json(job_to_json(job))
    else:
        session.line(headline(job, session.language))
