"""The web process's HTTP edge: a provider's callback is durable before it is answered with 200."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

CarryOn = Callable[[int, str, bytes], Awaitable[None]]


class CallbackServer:
    """POST /callback/{job_id} on a loopback port of its own."""

    def __init__(self, carry_on: CarryOn) -> None:
        self._carry_on = carry_on
        app = web.Application()
        app.router.add_post(r"/callback/{job_id:\d+}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, port: int) -> str:
        """Listen (0: on any free port); return the URL that job ids are appended to."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        host, bound = self._runner.addresses[0][:2]
        return f"http://{host}:{bound}/callback"

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        task_id = str(json.loads(body)["taskId"])
        await self._carry_on(int(request.match_info["job_id"]), task_id, body)
        return web.Response()
