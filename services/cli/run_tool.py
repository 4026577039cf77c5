"""`etapa run TOOL`: runs a tool on media, and with --wait follows the job to its end."""

from __future__ import annotations

from typing import Annotated

import typer

from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import TooManyActiveJobsError
from etapa_client.trail import job_to_json
from etapa_client.words import Words
from services.cli.ended import finish, wait_and_tell
from services.cli.errors import CliError
from services.cli.layout import one_line
from services.cli.run_request import RunArguments, read_arguments
from services.cli.session import (
    DEFAULT_USER,
    AsJson,
    Lang,
    ServiceError,
    Session,
    explain,
    open_session,
    run,
)
from services.cli.trail_view import headline, position_text

_FOLLOW = Words("Acompanhe: etapa watch {job}", "Follow it: etapa watch {job}")
_ACTIVE = Words(
    "{message} (acompanhe com `etapa watch {job}`, ou `etapa cancel {job}`)",
    "{message} (follow it with `etapa watch {job}`, or `etapa cancel {job}`)",
)
_EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


class UnreadableFileError(CliError):
    """A file that was to be sent cannot be read."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", context_settings=_EXTRA)(run_tool)


def run_tool(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="name of a tool; `etapa tools` lists them")],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="name=value, as often as needed")
    ] = None,
    media: Annotated[
        list[str] | None, typer.Option("--media", "-m", help="name=FILE|URL; or --<name> FILE|URL")
    ] = None,
    url: Annotated[str, typer.Option("--url", help="URL of the tool's only media")] = "",
    user: Annotated[str, typer.Option("--user", "-u", help="whose job and credits")] = DEFAULT_USER,
    request_id: Annotated[
        str, typer.Option("--request-id", help="repeat the command with it: still one job")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", "-w", help="follow it; 3 if it fails")] = False,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Run a tool. Its media are options: --image photo.jpg, --video https://…"""
    session = open_session(context, lang, as_json)
    rest = list(context.args)

    async def start(client: EtapaClient) -> job_pb2.Job:
        found = await client.tools.describe_tool(tool)
        arguments = read_arguments(
            found, session.language, params=param or (), media=media or (), url=url, rest=rest
        )
        job = await _submit(session, client, tool, arguments, user, request_id)
        if wait:
            return await wait_and_tell(session, client, job)
        _tell_accepted(session, job)
        return job

    finish(run(session, start), waited=wait)


async def _submit(
    session: Session,
    client: EtapaClient,
    tool: str,
    arguments: RunArguments,
    user: str,
    request_id: str,
) -> job_pb2.Job:
    try:
        return await client.tools.run(
            tool, arguments.inputs, arguments.media, user, request_id or None
        )
    except TooManyActiveJobsError as error:
        if not error.active_job_ids:
            raise
        said = explain(session, error)
        text = session.say(_ACTIVE, message=said, job=error.active_job_ids[0])
        raise ServiceError(text) from error
    except OSError as error:
        if isinstance(error, EtapaError) or not error.filename:
            raise
        raise UnreadableFileError(f"{error.filename}: {error.strerror}") from error


def _tell_accepted(session: Session, job: job_pb2.Job) -> None:
    if session.as_json:
        session.json(job_to_json(job))
        return
    session.line(headline(job, session.language))
    if job.error_message:
        session.line(f"  {one_line(job.error_message)}")
    if job.position:
        session.line(f"  {position_text(job.position, session.language)}")
    session.line(f"  {session.say(_FOLLOW, job=job.job_id)}")
