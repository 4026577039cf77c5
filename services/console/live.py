"""Live streams to the browser: an event says only which jobs changed; pages fetch the rest.

Streams resume: the id of an event is the place after it (a job's seq, or the feed's cursor), and
the browser gives the last one back, to whichever console process answers then. However many
browsers watch the same, it is followed once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from services.console.browser import Browser, open_stream
from services.console.channel import Channel
from services.console.desk import desk_of, job_id_of
from services.console.errors import TooManyStreamsError
from services.console.follow import JobChannel, JobsChannel

_PLACE = re.compile(r"[\x21-\x7e]{1,2000}")


class Live:
    """The streams of one process: counted, shared by what they tell, and ended when it ends."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._open = 0
        self._browsers: set[Browser] = set()
        self._channels: dict[tuple[str, ...], Channel] = {}
        self._followers: dict[Channel, asyncio.Task[None]] = {}
        self._is_stopping = False

    async def stop(self, _: web.Application) -> None:
        """End all streams; browsers come back by themselves."""
        self._is_stopping = True
        for browser in tuple(self._browsers):
            browser.end()

    async def close(self, _: web.Application) -> None:
        """Wait until nothing is followed any more."""
        followers = tuple(self._followers.values())
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)

    async def job(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of one job."""
        job_id, client = job_id_of(request), desk_of(request).client
        return await self._stream(request, ("job", job_id), lambda: JobChannel(client, job_id))

    async def jobs(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of all jobs, or of a user's or a tool's."""
        client, place = desk_of(request).client, _place(request)
        user, tool = (request.query.get(name, "") for name in ("user", "tool"))
        return await self._stream(
            request, ("jobs", user, tool), lambda: JobsChannel(client, user, tool, place)
        )

    async def _stream(
        self, request: web.Request, key: tuple[str, ...], make: Callable[[], Channel]
    ) -> web.StreamResponse:
        if self._open >= self._max_streams or self._is_stopping:
            raise TooManyStreamsError
        self._open += 1
        try:
            response, browser = await open_stream(request)
            with self._member(browser, key, make, _place(request)):
                await browser.gone.wait()
            return response
        finally:
            self._open -= 1

    @contextmanager
    def _member(
        self, browser: Browser, key: tuple[str, ...], make: Callable[[], Channel], place: str
    ) -> Iterator[None]:
        """Have a browser told by the channel of `key`; the first opens it, the last closes it."""
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = make()
            self._start(channel)
        self._browsers.add(browser)
        channel.join(browser, place)
        if self._is_stopping:
            browser.end()
        try:
            yield
        finally:
            self._browsers.discard(browser)
            channel.leave(browser)
            if channel.is_empty:
                self._close_channel(key)

    def _close_channel(self, key: tuple[str, ...]) -> None:
        channel = self._channels.pop(key)
        channel.end()
        # None where `close` was first, because its handler was cut off at the end of the grace.
        if (follower := self._followers.get(channel)) is not None:
            follower.cancel()

    def _start(self, channel: Channel) -> None:
        follower = asyncio.create_task(channel.run(), name="follow")
        self._followers[channel] = follower
        follower.add_done_callback(lambda _: self._followers.pop(channel))


def _place(request: web.Request) -> str:
    given = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    return given if _PLACE.fullmatch(given) else ""
