"""What one subscriber has yet to be told: the last word on each job, never more than so many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MAX_JOBS = 500


@dataclass(frozen=True, slots=True)
class Flush:
    """What is told at once. `event_id` is where the stream resumes after it."""

    jobs: dict[str, int]
    event_id: str
    state: str


class Changes:
    """Coalesces: a slow reader misses no change, only repetitions of it.

    `state` is live or away (the history does not answer). Beyond MAX_JOBS the oldest names are
    dropped: a page that far behind is told by its own slow poll.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, int] = {}
        self._event_id = ""
        self._state = ""
        self._told_state = ""
        self._something = asyncio.Event()

    def put(self, job_id: str, seq: int, event_id: str) -> None:
        """Note that a job changed."""
        self._jobs.pop(job_id, None)
        self._jobs[job_id] = seq
        while len(self._jobs) > MAX_JOBS:
            del self._jobs[next(iter(self._jobs))]
        self._event_id = event_id
        self._something.set()

    def say(self, state: str) -> None:
        """Note whether changes arrive at all."""
        self._state = state
        if state != self._told_state:
            self._something.set()

    async def wait(self) -> None:
        """Return once there is something to tell."""
        await self._something.wait()

    def take(self) -> Flush:
        """Return all there is to tell, and forget it. An unchanged state comes as empty."""
        state = self._state if self._state != self._told_state else ""
        self._told_state = self._state
        flush = Flush(self._jobs, self._event_id, state)
        self._jobs = {}
        self._something.clear()
        return flush
