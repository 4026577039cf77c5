"""A console over a real socket in front of a world, and a small browser without a screen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from services.console.app import make_app
from services.console.desk import Desk, open_desk
from services.console.settings import Settings
from services.runtime.http_server import HttpServer
from tests.support.console_world import World
from tests.support.servicers_console import serving_world

PAGE = {"Accept": "text/html"}
PART = {"HX-Request": "true"}


@dataclass
class Reply:
    """An answer with its body read."""

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.text)


class Browser:
    """Keeps cookies and the page's token; follows no redirect unless told."""

    def __init__(
        self, session: aiohttp.ClientSession, world: World, server: HttpServer, desk: Desk
    ) -> None:
        self.session = session
        self.world = world
        self.desk = desk
        self.server = server
        self.base = f"http://127.0.0.1:{server.port}"
        self.token = ""

    async def restart(self) -> None:
        """Stop the console and start another process's worth of it at the same address."""
        await self.server.stop(1)
        self.server = HttpServer(f"127.0.0.1:{self.server.port}", make_app(self.desk))
        await self.server.start()

    async def get(self, path: str, **headers: str) -> Reply:
        """Get a page."""
        return await self._ask("GET", path, headers=PAGE | headers)

    async def part(self, path: str, **headers: str) -> Reply:
        """Get a part of a page."""
        return await self._ask("GET", path, headers=PART | headers)

    async def post(
        self, path: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Post as a page of ours does."""
        if not self.token:
            await self.visit()
        ours = {**PART, "X-CSRF-Token": self.token, "Sec-Fetch-Site": "same-origin"}
        return await self._ask("POST", path, headers=headers or ours, data=data)

    async def visit(self) -> None:
        """Get a first page, and with it the token."""
        found = re.search(r'"X-CSRF-Token": "([^"]+)"', (await self.get("/jobs")).text)
        assert found is not None
        self.token = found[1]

    @asynccontextmanager
    async def events(
        self, path: str, last_id: str = ""
    ) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
        """Open a stream of events."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with self.session.get(self.base + path, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            yield _events(reply)

    async def _ask(self, method: str, path: str, **more: Any) -> Reply:
        async with self.session.request(
            method, self.base + path, allow_redirects=False, **more
        ) as reply:
            text = (await reply.read()).decode("utf-8", "replace")
            return Reply(reply.status, text, reply.headers)


@asynccontextmanager
async def running_console(world: World, **settings: Any) -> AsyncIterator[Browser]:
    """Run a console in front of the world; `settings` change its defaults."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving_world(world))
        served = {f"{name}_address": address for name in ("queue", "tools", "observability")}
        desk = await stack.enter_async_context(open_desk(Settings(**served | settings)))
        server = HttpServer("127.0.0.1:0", make_app(desk))
        await server.start()
        # Cookies of plain addresses are kept, too.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            browser = Browser(session, world, server, desk)
            try:
                yield browser
            finally:
                await browser.server.stop(1)


async def until(events: AsyncIterator[dict[str, str]], kind: str) -> dict[str, Any]:
    """Return the next event of a kind, with its data read; fail after ten seconds."""
    async with asyncio.timeout(10):
        async for event in events:
            if event.get("event") == kind:
                return {**event, "data": json.loads(event["data"])}
    raise AssertionError(f"the stream ended before an event {kind!r}")


async def until_changed(events: AsyncIterator[dict[str, str]], event_id: str) -> dict[str, Any]:
    """Return the change of an id; a burst before it may be told in any number of changes."""
    while (event := await until(events, "changed"))["id"] != event_id:
        pass
    return event


async def _events(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    event: dict[str, str] = {}
    async for raw in reply.content:
        line = raw.decode().rstrip("\r\n")
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
