"""What browsers watch, as the history tells it: one job, or the feed of jobs."""

from __future__ import annotations

from contextlib import aclosing

from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import CursorExpiredError, JobNotFoundError, SeqExpiredError
from services.console.changes import Flush
from services.console.channel import Channel
from services.console.recall import Recall
from services.console.story import READ_S

PATIENCE_S = 2.0
LISTED_JOBS = 200


class JobChannel(Channel):
    """One job. A place is the last seq seen."""

    def __init__(self, client: EtapaClient, job_id: str) -> None:
        super().__init__()
        self._client = client
        self._job_id = job_id
        self._seq: int | None = None

    async def follow(self) -> None:
        """Read where the job is, then follow its events."""
        trails = self._client.trail
        try:
            # The stream itself says nothing while nothing happens; this tells that it can.
            trail = await trails.get_trail(self._job_id, timeout_s=READ_S)
            self.say("live")
            self._reach(trail.through_seq)
            events = trails.watch(
                self._job_id, trail.through_seq, follow=True, patience_s=PATIENCE_S
            )
            async with aclosing(events):
                async for event in events:
                    self._reach(event.seq)
        except JobNotFoundError:
            self.say("live")  # its first event is still on the way
        except SeqExpiredError:
            return  # the next reading tells where it is

    def since(self, place: str) -> Flush:
        """Return the job's seq if it is beyond a place; what is no place is the beginning."""
        after = int(place) if place.isascii() and place.isdigit() and len(place) < 19 else 0
        if self._seq is None or self._seq <= after:
            return Flush()
        return Flush({self._job_id: self._seq}, str(self._seq))

    def _reach(self, seq: int) -> None:
        before, self._seq = self._seq, seq
        if before is None:
            self.settle()
        elif seq > before:
            self.note({self._job_id: seq}, str(seq))


class JobsChannel(Channel):
    """The jobs of a user, of a tool, of both, or all. A place is a cursor of the history's feed."""

    def __init__(self, client: EtapaClient, user_id: str, tool: str, place: str) -> None:
        super().__init__()
        self._client = client
        self._user_id, self._tool = user_id, tool
        self._cursor = place
        self._recall = Recall()
        self._recall.begin(place)
        # Whether it is known of the newest jobs where they stand, for browsers without a place.
        self._has_base = False

    async def follow(self) -> None:
        """Follow the feed from the last cursor on, or from the newest jobs where it is too old."""
        try:
            await self._follow_from_cursor()
        except CursorExpiredError:
            self._start_anew()
        except EtapaError as error:
            if error.reason != "INVALID_CURSOR":
                raise
            self._start_anew()

    def since(self, place: str) -> Flush:
        """Return what changed after a place; all that is known where the place is not."""
        jobs = self._recall.since(place) if place else self._recall.latest()
        if jobs is None:
            return Flush(self._recall.latest(), self._cursor, is_lost=True)
        return Flush(jobs, self._cursor)

    async def _follow_from_cursor(self) -> None:
        trails = self._client.trail
        if self._cursor and not self._has_base:
            listed = await trails.list_jobs(
                user_id=self._user_id, tool=self._tool, page_size=LISTED_JOBS, timeout_s=READ_S
            )
            self._recall.know({job.job_id: job.through_seq for job in reversed(listed.jobs)})
        answers = trails.watch_jobs(
            user_id=self._user_id, tool=self._tool, cursor=self._cursor, patience_s=PATIENCE_S
        )
        async with aclosing(answers):
            async for answer in answers:
                self.say("live")
                self._has_base = True
                self._cursor = answer.cursor or self._cursor
                jobs = {job.job_id: job.through_seq for job in answer.jobs}
                if jobs:
                    self._recall.note(jobs, self._cursor)
                    self.note(jobs, self._cursor)
                if self._newcomers:
                    self.settle()

    def _start_anew(self) -> None:
        self._cursor = ""
        self._recall.begin("")
        self.lose()
