"""What a person can do: run a tool, try a job again, cancel it; switch the user in development."""

from __future__ import annotations

from aiohttp import web

from etapa.tools.v1 import tools_pb2
from etapa_client.upload import MediaSource, Url
from services.console.card import card_of
from services.console.desk import desk_of, job_id_of
from services.console.errors import BadFormError, MediaMissingError
from services.console.fields import posted_fields
from services.console.form import MEDIA, MEDIA_URL, inputs_of
from services.console.render import is_fragment, render
from services.console.story import READ_S, Story, read_story
from services.console.uploads import Posted, posted_form
from services.console.who import USER_COOKIE, is_user, keep, language_of, user_of
from services.runtime.ids import new_id

DEVELOPMENT_CREDITS = 500


async def run(request: web.Request) -> web.Response:
    """Run a tool on the posted media; the answer is the new job's card."""
    desk, name = desk_of(request), request.match_info["tool"]
    async with posted_form(request, desk.settings.max_upload_bytes) as posted:
        tool = await desk.client.tools.describe_tool(name, timeout_s=READ_S)
        job = await desk.client.tools.run(
            name,
            inputs_of(tool, posted.fields),
            _media(tool, posted),
            user_of(request),
            posted.fields.get("request_id") or None,
        )
    return await _new_card(request, Story(job.job_id, job))


async def retry(request: web.Request) -> web.Response:
    """Make a new job of a final one."""
    desk, form = desk_of(request), await posted_fields(request)
    request_id = form.get("request_id", "")
    if not request_id:
        raise BadFormError("request_id is missing")
    answer = await desk.client.queue.retry_job(job_id_of(request), request_id=request_id)
    job = answer.job
    if is_fragment(request) and form.get("view") == "page":
        return web.Response(headers={"HX-Redirect": f"/jobs/{job.job_id}"})
    return await _new_card(request, Story(job.job_id, job))


async def cancel(request: web.Request) -> web.Response:
    """Ask for the end of a job; the answer is its card."""
    desk, job_id = desk_of(request), job_id_of(request)
    await desk.client.queue.cancel_job(job_id, reason="console")
    if not is_fragment(request):
        raise web.HTTPSeeOther(f"/jobs/{job_id}")
    if (await posted_fields(request)).get("view") == "page":
        return web.Response(status=204, headers={"HX-Trigger": "job-acted"})
    story = await read_story(desk.reader, job_id)
    card = card_of(story, language_of(request), desk.now())
    return render(request, "parts/card.html", card=card)


async def switch_user(request: web.Request) -> web.Response:
    """Act as another user from now on (development mode: a name, no login)."""
    form = await posted_fields(request)
    name = form.get("user", "").strip()
    if not is_user(name):
        raise BadFormError("a user is 1 to 128 letters, digits or . @ : + - _", field="user")
    redirect = web.HTTPSeeOther(_own_path(form.get("back", "/")))
    keep(redirect, USER_COOKIE, name)
    raise redirect


async def add_credits(request: web.Request) -> web.Response:
    """Give the user credits to try things with."""
    form = await posted_fields(request)
    await desk_of(request).client.credits.grant_credits(
        request_id=form.get("request_id", "") or str(new_id()),
        user_id=user_of(request),
        amount=DEVELOPMENT_CREDITS,
    )
    raise web.HTTPSeeOther(_own_path(str(form.get("back", "/"))))


async def _new_card(request: web.Request, story: Story) -> web.Response:
    if not is_fragment(request):
        raise web.HTTPSeeOther(f"/jobs/{story.job_id}")
    desk = desk_of(request)
    return render(
        request,
        "parts/new_card.html",
        status=201,
        card=card_of(story, language_of(request), desk.now()),
        request_id=str(new_id()),
    )


def _media(tool: tools_pb2.ToolInfo, posted: Posted) -> dict[str, MediaSource]:
    found: dict[str, MediaSource] = {}
    for wanted in tool.media:
        upload = posted.files.get(MEDIA + wanted.name)
        url = posted.fields.get(MEDIA_URL + wanted.name, "").strip()
        if upload is not None:
            found[wanted.name] = upload
        elif url:
            found[wanted.name] = Url(url)
        else:
            raise MediaMissingError(wanted.name, field=wanted.name)
    return found


def _own_path(path: str) -> str:
    # "//host" and "/\host" leave the site.
    return path if path.startswith("/") and path[1:2] not in ("/", "\\") else "/"
