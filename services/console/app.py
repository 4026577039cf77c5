"""The console as an aiohttp application: its routes, and what every request passes."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from services.console import actions, fragments, pages
from services.console.answers import error_middleware
from services.console.desk import DESK, Desk
from services.console.live import Live
from services.console.render import set_up_templates
from services.console.security import add_headers, refuse_strangers

_JOB = "/jobs/{job_id}"
_TOOL = "/tools/{tool:[a-z][a-z0-9_]{0,39}}"
_STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk) -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[error_middleware, refuse_strangers(desk.settings.hosts)])
    app[DESK] = desk
    set_up_templates(app)
    live = Live(desk.settings.max_streams)
    app.on_shutdown.append(live.stop)
    app.on_cleanup.append(live.close)
    app.on_response_prepare.append(add_headers(desk.settings.media_origin))
    app.router.add_routes(
        [
            web.get("/", home),
            web.get("/healthz", healthz),
            web.get("/tools", pages.tools),
            web.get(_TOOL, pages.tool),
            web.post(f"{_TOOL}/jobs", actions.run),
            web.get("/jobs", pages.jobs),
            web.get(_JOB, pages.job),
            web.get(f"{_JOB}/card", fragments.card),
            web.get(f"{_JOB}/details", fragments.details),
            web.get(f"{_JOB}/context", fragments.context),
            web.get(f"{_JOB}/payloads/{{payload_id}}", fragments.payload),
            web.get(f"{_JOB}/payloads/{{payload_id}}/bytes", fragments.payload_bytes),
            web.get(f"{_JOB}/events", live.job, allow_head=False),
            web.post(f"{_JOB}/retry", actions.retry),
            web.post(f"{_JOB}/cancel", actions.cancel),
            web.get("/events", live.jobs, allow_head=False),
            web.get("/find", pages.find),
            web.get("/queue", pages.queue),
            web.get("/balance", fragments.balance),
            web.post("/user", actions.switch_user),
            web.post("/credits", actions.add_credits),
            web.static("/static", _STATIC),
        ]
    )
    return app


async def home(request: web.Request) -> web.Response:
    """Lead to the tools."""
    raise web.HTTPFound("/tools")


async def healthz(request: web.Request) -> web.Response:
    """Tell that this process serves; what it shows depends on the others."""
    return web.json_response({"status": "ok"})
