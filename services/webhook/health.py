"""Answers /healthz: ready only while callbacks can be kept."""

from __future__ import annotations

import asyncio

from aiohttp import web

from services.runtime.db import Pool
from services.runtime.log import get_log
from services.webhook import store

log = get_log(__name__)

ANSWER_S = 2.0
# A backlog beyond this is given as this; counting on would cost more than it tells.
BACKLOG_BOUND = 10_000


class HealthEdge:
    """The health route."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add_to(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/healthz", self.check)

    async def check(self, request: web.Request) -> web.Response:
        """Answer 200 with what waits to be forwarded, or 503 while the database is away."""
        try:
            async with asyncio.timeout(ANSWER_S), self._pool.acquire() as conn:
                waiting = await store.read_backlog(conn, BACKLOG_BOUND)
        except Exception as error:
            log.warning("health_check_failed", error=repr(error))
            return web.json_response({"ready": False, "database": "away"}, status=503)
        backlog = {peer.value: count for peer, count in waiting.items()}
        return web.json_response({"ready": True, "waiting": backlog})
