"""A receiver of callbacks: keeps each body as it came and answers as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Callback:
    """One delivery."""

    path: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, decoded."""
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """Collects deliveries. `answers` are statuses for the next ones, then 200."""

    base_url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[Callback] = field(default_factory=list)
    silent: asyncio.Event | None = None
    _arrived: asyncio.Queue[Callback] = field(default_factory=asyncio.Queue)

    def url(self, name: str = "a-token") -> str:
        """Return a callback URL with an own last part."""
        return f"{self.base_url}/runninghub/{name}"

    async def next(self, timeout_s: float = 20.0) -> Callback:
        """Wait for the next delivery."""
        return await asyncio.wait_for(self._arrived.get(), timeout_s)

    async def handle(self, request: web.Request) -> web.Response:
        """Keep the body; answer the next status, or nothing while `silent` is unset."""
        callback = Callback(request.path, await request.read())
        self.received.append(callback)
        self._arrived.put_nowait(callback)
        if self.silent is not None:
            await self.silent.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 200, text="kept")


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
