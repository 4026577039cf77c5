"""Parts of pages, fetched again when something changed: one way to render each."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.names import PAYLOAD_NAMES
from services.console.card import card_of
from services.console.desk import desk_of, job_id_of
from services.console.details import details_of
from services.console.pages import optional
from services.console.payload import payload_view
from services.console.render import render
from services.console.story import READ_S
from services.console.who import language_of, user_of

SAME_FAILURE_SPAN = timedelta(hours=2)
_SUFFIXES = {"application/json": ".json", "text/html": ".html", "text/plain": ".txt"}


async def card(request: web.Request) -> web.Response:
    """Show the live card of a job."""
    desk = desk_of(request)
    story = await desk.story(request)
    shown = card_of(story, language_of(request), desk.now())
    return render(request, "parts/card.html", card=shown)


async def details(request: web.Request) -> web.Response:
    """Show the whole story of a job, in the modal or on its page."""
    desk = desk_of(request)
    story = await desk.story(request)
    found = details_of(story, language_of(request), desk.now())
    in_modal = request.query.get("view") == "modal"
    return render(request, "parts/details.html", details=found, story=story, in_modal=in_modal)


async def payload(request: web.Request) -> web.Response:
    """Show one raw payload."""
    answer = await _payload(request)
    path = request.query.get("proof", "")[:500]
    return render(
        request,
        "parts/payload.html",
        view=payload_view(answer, path),
        job_id=job_id_of(request),
    )


async def payload_bytes(request: web.Request) -> web.Response:
    """Hand out the stored bytes as a file; never to be run or shown as a page."""
    answer = await _payload(request)
    kind = PAYLOAD_NAMES.get(answer.info.kind, "payload")
    suffix = _SUFFIXES.get(answer.info.content_type.partition(";")[0].strip().lower(), ".bin")
    name = f"{job_id_of(request)}-{kind}{suffix}"
    return web.Response(
        body=answer.body,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{_safe(name)}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


async def context(request: web.Request) -> web.Response:
    """Show whether it is only this job: same failure elsewhere, last success, the account."""
    desk = desk_of(request)
    trail = await desk.reader.trail.get_trail(job_id_of(request), timeout_s=READ_S)
    now = desk.now()
    same, success, accounts = await asyncio.gather(
        optional(_same_failures(request, trail)),
        optional(
            desk.reader.trail.list_jobs(
                tool=trail.job.tool,
                statuses=[job_pb2.JOB_STATUS_COMPLETED],
                page_size=1,
                timeout_s=READ_S,
            )
        ),
        optional(desk.reader.operations.list_accounts(timeout_s=READ_S)),
    )
    return render(
        request,
        "parts/context.html",
        job=trail.job,
        same=list(same.jobs) if same is not None else None,
        has_more=bool(same.next_page_token) if same is not None else False,
        success=next(iter(success.jobs), None) if success is not None else None,
        accounts=[found for found in accounts or () if found.name == trail.job.account],
        now=now,
    )


async def balance(request: web.Request) -> web.Response:
    """Show what the user can spend."""
    found = await optional(
        desk_of(request).reader.credits.get_balance(user_of(request), timeout_s=READ_S)
    )
    return render(request, "parts/balance.html", balance=found)


async def _payload(request: web.Request) -> trail_pb2.GetPayloadResponse:
    return await desk_of(request).reader.trail.get_payload(
        request.match_info["payload_id"], job_id=job_id_of(request), timeout_s=READ_S
    )


async def _same_failures(
    request: web.Request, trail: trail_pb2.GetTrailResponse
) -> trail_pb2.ListJobsResponse:
    if not trail.job.error_class:
        return trail_pb2.ListJobsResponse()
    desk = desk_of(request)
    return await desk.reader.trail.list_jobs(
        error_class=trail.job.error_class,
        created_from=desk.now() - SAME_FAILURE_SPAN,
        page_size=200,
        timeout_s=READ_S,
    )


def _safe(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-._" else "-" for char in name)
