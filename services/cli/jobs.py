"""`etapa jobs`, `job`, `find`: lists jobs, tells one job's whole story, finds a job by any id."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.errors import InvalidInputError, JobNotFoundError
from etapa_client.names import STATUS_NAMES, STATUSES, STEP_NAMES, STEPS
from etapa_client.trail import summary_to_json
from etapa_client.words import Language, Words, failed_label
from services.cli.choice import parse_span_s, pick
from services.cli.errors import CliError
from services.cli.layout import DIM, clean, columns, date_and_clock, one_line
from services.cli.session import AsJson, Lang, Session, explain, open_session, run
from services.cli.story import Story, read_story, story_to_json
from services.cli.trail_view import status_text, story_lines

_PAGE = 200
_NONE = Words("nenhum job", "no jobs")
_NO_MATCH = Words(
    "nada tem o id {query!r}: procure por job, tarefa do provedor, trace, entrega, pedido, "
    "usuário ou URL do resultado",
    "nothing has the id {query!r}: give a job, provider task, trace, delivery, request, user or "
    "output URL",
)
_MANY = Words(
    "{count} jobs têm o id {query!r}: `etapa find {query}` os lista",
    "{count} jobs have the id {query!r}: `etapa find {query}` lists them",
)
_MORE = Words("há mais; --limit mostra mais", "there are more; --limit shows more")


class NothingFoundError(CliError):
    """Nothing has this id, or too much has."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(jobs)
    app.command()(job)
    app.command()(find)


def jobs(
    context: typer.Context,
    user: Annotated[str, typer.Option("--user", "-u", help="only this user's")] = "",
    tool: Annotated[str, typer.Option("--tool", "-t", help="only this tool's")] = "",
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help=f"one of {', '.join(STATUSES)}")
    ] = None,
    failed_at: Annotated[str, typer.Option("--failed-at", help="step where they failed")] = "",
    error_class: Annotated[str, typer.Option("--class", help="failure class")] = "",
    since: Annotated[str, typer.Option("--since", help="created in the last 30m, 2h, 7d")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many")] = 50,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """List jobs, newest first."""
    session = open_session(context, lang, as_json)
    statuses = [pick(name, STATUSES, "status") for name in status or ()]
    step = pick(failed_at, STEPS, "step") if failed_at else job_pb2.STEP_UNSPECIFIED
    span_s = parse_span_s(since) if since else None

    async def read(client: EtapaClient) -> tuple[list[trail_pb2.JobSummary], bool]:
        found: list[trail_pb2.JobSummary] = []
        token = ""
        created_from = datetime.now(UTC) - timedelta(seconds=span_s) if span_s else None
        while len(found) < limit:
            page = await client.trail.list_jobs(
                user_id=user,
                tool=tool,
                statuses=statuses,
                failed_at_step=step,
                error_class=error_class,
                created_from=created_from,
                page_size=min(_PAGE, limit - len(found)),
                page_token=token,
            )
            found += page.jobs
            token = page.next_page_token
            if not token:
                break
        return found, bool(token)

    found, has_more = run(session, read)
    _print_jobs(session, found)
    if has_more:
        session.warn(session.say(_MORE))


def job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="job id, or any id `find` knows")],
    payload: Annotated[
        str, typer.Option("--payload", help="print this payload's bytes as they came, nothing else")
    ] = "",
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Tell the whole story of a job: verdict, timeline, attempts, payloads, credits."""
    session = open_session(context, lang, as_json)
    if payload:
        _print_payload(run(session, lambda client: _read_payload(client, job_id, payload)))
        return
    story = run(session, lambda client: _find_story(session, client, job_id))
    if as_json:
        session.json(story_to_json(story))
    else:
        session.lines(story_lines(story, session.language))


def find(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="job, task, trace, delivery, request, user, URL")],
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Find jobs by any id, or by the URL of an output."""
    session = open_session(context, lang, as_json)
    matches = run(session, lambda client: client.trail.find(query))
    if not matches:
        raise NothingFoundError(_not_one(session, query, 0))
    if as_json:
        for match in matches:
            session.json({"matched": match.matched, "job": summary_to_json(match.job)})
        return
    rows = [
        [Text(match.matched, style=DIM), *_row(match.job, session.language)] for match in matches
    ]
    session.lines(columns(rows, indent=0))


async def _find_story(session: Session, client: EtapaClient, job_id: str) -> Story:
    try:
        story, away = await read_story(client, job_id)
    except (JobNotFoundError, InvalidInputError) as error:
        matches = await client.trail.find(job_id)
        if len(matches) != 1:
            raise NothingFoundError(_not_one(session, job_id, len(matches))) from error
        story, away = await read_story(client, matches[0].job.job_id)
    if away is not None:
        if session.as_json and not story.trail.through_seq:
            raise away  # a program must not take the missing history for an empty one
        session.warn(explain(session, away))
    return story


def _not_one(session: Session, query: str, count: int) -> str:
    return session.say(_MANY if count else _NO_MATCH, query=query, count=count)


async def _read_payload(
    client: EtapaClient, job_id: str, payload_id: str
) -> trail_pb2.GetPayloadResponse:
    return await client.trail.get_payload(payload_id, job_id=job_id)


def _print_payload(found: trail_pb2.GetPayloadResponse) -> None:
    if sys.stdout.isatty():  # a terminal would obey what a hostile body tells it
        typer.echo(clean(found.body.decode(errors="replace")))
        return
    typer.get_binary_stream("stdout").write(found.body)


def _print_jobs(session: Session, found: Sequence[trail_pb2.JobSummary]) -> None:
    if session.as_json:
        for summary in found:
            session.json(summary_to_json(summary))
        return
    if not found:
        session.line(session.say(_NONE))
    session.lines(columns([_row(summary, session.language) for summary in found], indent=0))


def _row(summary: trail_pb2.JobSummary, language: Language) -> list[Text | str]:
    status = STATUS_NAMES.get(summary.status, str(int(summary.status)))
    step = STEP_NAMES.get(summary.failed_at_step, "")
    why = ""
    if step:
        why = f"{failed_label(step, language)}: {one_line(summary.error_message)}"
        why = f"[{one_line(summary.error_class)}] {why}"
    return [
        summary.job_id,
        date_and_clock(summary.created_at),
        one_line(summary.tool),
        status_text(status, language),
        one_line(summary.user_id),
        one_line(why or summary.output_url),
    ]
