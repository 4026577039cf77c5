"""Follows one job to its end: its events as they come, and in a terminal its progress below."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import DeadlineExceededError, JobNotFoundError, UnavailableError
from etapa_client.names import FINAL_STATUSES
from etapa_client.resume import Patience
from services.cli.backoff import pauses
from services.cli.event_view import EventLines, event_to_json
from services.cli.layout import moment
from services.cli.progress_line import progress_line
from services.cli.session import Session

_WAIT_S = 20.0  # one long poll; the next follows at once
_PATIENCE_S = 60.0  # how long a restarting queue is waited for
_PROGRESS_EVERY_S = 0.5
_APPEARS_S = 30.0  # how long a job's first event may take to reach the history
_LAST_EVENTS_S = 5.0

See = Callable[[event_pb2.Event], None]


class Display:
    """Where followed events are written: lines, or objects, and a line that changes."""

    def __init__(self, session: Session, *, eager: bool = False) -> None:
        self.session = session
        self.lines = EventLines(session.language, eager=eager)
        self._live: Live | None = None

    def see(self, event: event_pb2.Event) -> None:
        """Write what this event makes ready."""
        if self.session.as_json:
            self.session.json(event_to_json(event))
            return
        for line in self.lines.take(event):
            self._print(line)

    def end(self) -> None:
        """Write what was still waiting for the end of a step."""
        if not self.session.as_json:
            for line in self.lines.rest():
                self._print(line)

    def show(self, job: job_pb2.Job) -> None:
        """Show where the job is now; nothing where the output is no terminal."""
        if self._live is None:
            return
        began = moment(self.lines.step_began) if self.lines.step_began else None
        since_s = time.time() - began.timestamp() if began else 0.0
        text = progress_line(job, max(since_s, 0.0), self.session.language)
        self._live.update(Spinner("dots", text=text))

    @property
    def is_live(self) -> bool:
        """Tell whether there is a line that changes."""
        return self._live is not None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep a changing line under what is written, where the output is a terminal."""
        if self.session.as_json or not self.session.out.is_terminal:
            yield
            return
        live = Live(Text(), console=self.session.out, transient=True, refresh_per_second=10)
        with live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def _print(self, line: Text) -> None:
        self.session.line(line)


async def follow_to_end(client: EtapaClient, job_id: str, see: See | Display) -> job_pb2.Job:
    """Return the final job. The queue says when; events are seen as the history gets them.

    The history may be away: the job's end is then reported all the same.
    """
    display = see if isinstance(see, Display) else None
    take = see.see if isinstance(see, Display) else see
    watching = asyncio.create_task(see_events(client, job_id, take), name="watch")
    try:
        async with _progress(client, job_id, display):
            job = await wait_final(client, job_id)
            with suppress(TimeoutError, EtapaError):
                async with asyncio.timeout(_LAST_EVENTS_S):
                    await watching
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if display is not None:
        display.end()
    return job


async def watch_to_end(
    client: EtapaClient, job_id: str, display: Display, after_seq: int, *, follow: bool
) -> None:
    """Write events from a number on until the job's end; survives lost servers."""
    async with _progress(client, job_id, display):
        events = client.trail.watch(job_id, after_seq, follow)
        async with aclosing(events):
            async for event in events:
                display.see(event)
    display.end()


async def see_events(client: EtapaClient, job_id: str, see: See) -> None:
    """Show all events of a job that may be so new that the history does not know it yet."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _APPEARS_S
    for pause_s in pauses():
        try:
            events = client.trail.watch(job_id)
            async with aclosing(events):
                async for event in events:
                    see(event)
        except JobNotFoundError:
            if loop.time() > until:
                raise
            await asyncio.sleep(pause_s)
        else:
            return


async def wait_final(client: EtapaClient, job_id: str) -> job_pb2.Job:
    """Return the job once it is final, however long that takes and whoever restarts meanwhile."""
    patience = Patience(_PATIENCE_S)
    while True:
        try:
            job = await client.queue.wait_job(job_id, max_wait_s=_WAIT_S)
        except DeadlineExceededError:
            continue
        except UnavailableError as error:
            await patience.pause(error)
            continue
        patience.renew()
        if job.status in FINAL_STATUSES:
            return job


@asynccontextmanager
async def _progress(
    client: EtapaClient, job_id: str, display: Display | None
) -> AsyncIterator[None]:
    """Show the queue's word on the job for the length of the context, in a terminal."""
    if display is None:
        yield
        return
    with display.shown():
        if not display.is_live:
            yield
            return
        showing = asyncio.create_task(_show_progress(client, job_id, display), name="progress")
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)


async def _show_progress(client: EtapaClient, job_id: str, display: Display) -> None:
    while True:
        # A queue that is away for a while only leaves the line as it was.
        with suppress(EtapaError):
            display.show(await client.queue.get_job(job_id))
        await asyncio.sleep(_PROGRESS_EVERY_S)
