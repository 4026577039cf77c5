"""Whole pages: tools, one tool, jobs, one job, search, queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import urlencode

from aiohttp import web

from etapa.queue.v1 import job_pb2
from etapa.tools.v1 import tools_pb2
from etapa_client import EtapaClient, EtapaError
from etapa_client.names import STATUS_NAMES, STATUSES
from services.console.card import card_of
from services.console.desk import Desk, desk_of
from services.console.details import details_of
from services.console.errors import BadFilterError
from services.console.form import form_of
from services.console.render import is_fragment, render
from services.console.story import AWAY, READ_S, Story, read_story
from services.console.who import language_of, user_of
from services.runtime.ids import new_id

Answer = TypeVar("Answer")
CARDS, PAGE_SIZE = 6, 50


async def tools(request: web.Request) -> web.Response:
    """List the tools."""
    answer = await desk_of(request).reader.tools.list_tools(page_size=200, timeout_s=READ_S)
    return render(request, "tools.html", tools=answer.tools)


async def tool(request: web.Request) -> web.Response:
    """Show one tool: its form, and this user's last jobs of it, live."""
    desk, language = desk_of(request), language_of(request)
    name = request.match_info["tool"]
    found, stories = await asyncio.gather(
        desk.reader.tools.describe_tool(name, timeout_s=READ_S),
        optional(_last_stories(desk, user_of(request), name)),
    )
    return render(
        request,
        "tool.html",
        form=form_of(found, language),
        cards=[card_of(story, language, desk.now()) for story in stories or []],
        missing=("queue",) if stories is None else (),
        request_id=str(new_id()),
    )


async def job(request: web.Request) -> web.Response:
    """Show the whole story of a job."""
    desk = desk_of(request)
    story = await desk.story(request)
    details = details_of(story, language_of(request), desk.now())
    return render(request, "job.html", details=details, story=story, in_modal=False)


async def jobs(request: web.Request) -> web.Response:
    """List jobs by filters; from the history, or from the queue while the history is away."""
    desk = desk_of(request)
    filters = {name: request.query.get(name, "").strip() for name in ("status", "tool", "user")}
    if filters["status"] and filters["status"] not in STATUSES:
        raise BadFilterError(filters["status"])
    listed, found = await asyncio.gather(
        _listed(desk.reader, filters, request.query.get("page", "")),
        optional(_tool_names(desk.reader)),
    )
    next_query = urlencode({**filters, "page": listed.next_page}) if listed.next_page else ""
    return render(
        request,
        "jobs.html",
        jobs=listed.jobs,
        missing=listed.missing,
        filters=filters,
        tools=found or [],
        statuses=[name for name in STATUS_NAMES.values() if name],
        next_query=next_query,
        is_first=not request.query.get("page"),
    )


async def find(request: web.Request) -> web.Response:
    """Search by any id; a job's own id leads straight to it."""
    desk = desk_of(request)
    query = request.query.get("q", "").strip()[:2000]
    if not query:
        raise web.HTTPSeeOther("/jobs")
    matches = await optional(desk.reader.trail.find(query, timeout_s=READ_S))
    if not matches and (known := await _known_job(desk.reader, query)):
        raise web.HTTPSeeOther(f"/jobs/{known}")
    if matches and len(matches) == 1:
        raise web.HTTPSeeOther(f"/jobs/{matches[0].job.job_id}")
    missing = ("observability",) if matches is None else ()
    return render(request, "find.html", query=query, matches=matches or [], missing=missing)


async def queue(request: web.Request) -> web.Response:
    """Show what runs and what waits, and the accounts."""
    reader = desk_of(request).reader
    load, accounts = await asyncio.gather(
        reader.queue.get_queue(timeout_s=READ_S), reader.operations.list_accounts(timeout_s=READ_S)
    )
    template = "parts/queue.html" if is_fragment(request) else "queue.html"
    return render(request, template, load=load, accounts=accounts, now=desk_of(request).now())


async def optional(call: Awaitable[Answer]) -> Answer | None:
    """Return the answer; None while its service is away, for what a page can do without."""
    try:
        return await call
    except AWAY:
        return None


class _Listed:
    def __init__(self, jobs: list[object], next_page: str, missing: tuple[str, ...] = ()) -> None:
        self.jobs = jobs
        self.next_page = next_page
        self.missing = missing


async def _listed(client: EtapaClient, filters: dict[str, str], page: str) -> _Listed:
    statuses = [STATUSES[filters["status"]]] if filters["status"] else []
    user, tool_name = filters["user"], filters["tool"]
    # A page token belongs to the service that gave it.
    source, _, token = page.partition("~")
    if source != "queue":
        answer = await optional(
            client.trail.list_jobs(
                user_id=user,
                tool=tool_name,
                statuses=statuses,
                page_size=PAGE_SIZE,
                page_token=token,
                timeout_s=READ_S,
            )
        )
        if answer is not None:
            following = f"trail~{answer.next_page_token}" if answer.next_page_token else ""
            return _Listed(list(answer.jobs), following)
    kept = await client.queue.list_jobs(
        user_id=user,
        tool=tool_name,
        statuses=statuses,
        page_size=PAGE_SIZE,
        page_token=token if source == "queue" else "",
        timeout_s=READ_S,
    )
    following = f"queue~{kept.next_page_token}" if kept.next_page_token else ""
    return _Listed(list(kept.jobs), following, ("observability",))


async def _tool_names(client: EtapaClient) -> list[tools_pb2.ToolInfo]:
    return list((await client.tools.list_tools(page_size=200, timeout_s=READ_S)).tools)


async def _last_stories(desk: Desk, user: str, tool_name: str) -> list[Story]:
    answer = await desk.reader.queue.list_jobs(
        user_id=user, tool=tool_name, page_size=CARDS, timeout_s=READ_S
    )
    return list(await asyncio.gather(*(_story_of(desk.reader, known) for known in answer.jobs)))


async def _story_of(client: EtapaClient, known: job_pb2.Job) -> Story:
    try:
        return await read_story(client, known.job_id)
    except EtapaError:
        return Story(known.job_id, known)  # pruned or away in between: what was listed is shown


async def _known_job(client: EtapaClient, query: str) -> str:
    try:
        return (await client.queue.get_job(query, timeout_s=READ_S)).job_id
    except EtapaError:
        return ""  # no job's id, no id at all, or the queue is away: then nothing is found
