"""Live streams to the browser: an event says only which jobs changed; pages fetch the rest.

Streams resume: the id of an event is the place after it (a job's seq, or the feed's cursor), and
the browser gives the last one back, to whichever console process answers then.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine
from contextlib import aclosing, suppress

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import CursorExpiredError, JobNotFoundError, SeqExpiredError
from services.console.changes import Changes
from services.console.desk import desk_of, job_id_of
from services.console.errors import TooManyStreamsError
from services.console.story import READ_S

RECONNECT_MS = 1000
PING_S = 15.0
DEBOUNCE_S = 0.1
PATIENCE_S = 2.0
PAUSE_S = 1.0
_CURSOR = re.compile(r"[\x21-\x7e]{1,2000}")


class Live:
    """The streams of one process: counted, and ended when it ends."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._open = 0
        self._stopping = asyncio.Event()

    async def stop(self, _: web.Application) -> None:
        """End all streams; browsers come back by themselves."""
        self._stopping.set()

    async def job(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of one job."""
        job_id = job_id_of(request)
        place = _place(request)
        after = int(place) if place.isascii() and place.isdigit() and len(place) < 19 else 0
        changes = Changes()
        return await self._stream(
            request, changes, _follow_job(desk_of(request).client, job_id, after, changes)
        )

    async def jobs(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of all jobs, or of a user's or a tool's."""
        changes = Changes()
        query = {name: request.query.get(name, "") for name in ("user", "tool")}
        follow = _follow_jobs(desk_of(request).client, query, _place(request), changes)
        return await self._stream(request, changes, follow)

    async def _stream(
        self, request: web.Request, changes: Changes, follow: Coroutine[None, None, None]
    ) -> web.StreamResponse:
        if self._open >= self._max_streams or self._stopping.is_set():
            follow.close()
            raise TooManyStreamsError
        self._open += 1
        following = asyncio.create_task(follow, name="follow")
        try:
            async with sse_response(request, ping_interval=PING_S) as response:
                await response.send("{}", event="hello", retry=RECONNECT_MS)
                await self._tell(response, changes, following)
            return response
        finally:
            self._open -= 1
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def _tell(
        self, response: EventSourceResponse, changes: Changes, following: asyncio.Task[None]
    ) -> None:
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        try:
            while response.is_connected():
                waiting = asyncio.create_task(changes.wait(), name="changes")
                done, _ = await asyncio.wait(
                    {waiting, stopping, following}, return_when=asyncio.FIRST_COMPLETED
                )
                waiting.cancel()
                if stopping in done or following in done:
                    return
                await asyncio.sleep(DEBOUNCE_S)
                await _send(response, changes)
        except ConnectionResetError:
            return  # the browser left
        finally:
            stopping.cancel()


async def _send(response: EventSourceResponse, changes: Changes) -> None:
    flush = changes.take()
    if flush.state:
        await response.send(json.dumps({"state": flush.state}), event="state")
    if flush.jobs:
        data = json.dumps({"jobs": flush.jobs})
        await response.send(data, event="changed", id=flush.event_id)


async def _follow_job(client: EtapaClient, job_id: str, after: int, changes: Changes) -> None:
    seq = after
    while True:
        try:
            # The stream itself says nothing while nothing happens; this tells that it can.
            trail = await client.trail.get_trail(job_id, timeout_s=READ_S)
            changes.say("live")
            seq = min(seq, trail.through_seq)
            events = client.trail.watch(job_id, seq, follow=True, patience_s=PATIENCE_S)
            async with aclosing(events):
                async for event in events:
                    seq = event.seq
                    changes.put(job_id, seq, str(seq))
        except SeqExpiredError:
            seq = trail.through_seq
            changes.put(job_id, seq, str(seq))
        except JobNotFoundError:
            changes.say("live")  # its first event is still on the way
        except EtapaError:
            changes.say("away")
        await asyncio.sleep(PAUSE_S)


async def _follow_jobs(
    client: EtapaClient, query: dict[str, str], cursor: str, changes: Changes
) -> None:
    while True:
        try:
            answers = client.trail.watch_jobs(
                user_id=query["user"], tool=query["tool"], cursor=cursor, patience_s=PATIENCE_S
            )
            async with aclosing(answers):
                async for answer in answers:
                    changes.say("live")
                    cursor = answer.cursor or cursor
                    for job in answer.jobs:
                        changes.put(job.job_id, job.through_seq, cursor)
        except CursorExpiredError:
            cursor = ""
        except EtapaError as error:
            if error.reason == "INVALID_CURSOR":
                cursor = ""
            changes.say("away")
        await asyncio.sleep(PAUSE_S)


def _place(request: web.Request) -> str:
    given = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    return given if _CURSOR.fullmatch(given) else ""
