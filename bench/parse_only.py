"""The least that an HTTP gateway in Python does: aiohttp on uvloop, a body read, 200 answered.

What the gateway's durable 200s are measured against. Prints one JSON line {"port": ...}.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web


async def receive(request: web.Request) -> web.Response:
    """Read the body and forget it."""
    await request.read()
    return web.Response()


async def main() -> None:
    """Listen on a free loopback port until stdin closes."""
    app = web.Application()
    app.router.add_post("/runninghub/{token}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
