"""What somebody has yet to be told: the last word on each job, never more than so many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_JOBS = 500


@dataclass(frozen=True, slots=True)
class Flush:
    """What is told at once. `event_id` is where the stream resumes after it.

    With `is_lost` more has changed than is named: whoever shows anything reads it anew.
    """

    jobs: Mapping[str, int] = field(default_factory=dict)
    event_id: str = ""
    state: str = ""
    is_lost: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.jobs or self.state or self.is_lost)


class Changes:
    """Coalesces: a slow reader misses no change, only repetitions of it.

    `state` is live or away (the history does not answer). Beyond MAX_JOBS the oldest names are
    dropped, and that is told in their place.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, int] = {}
        self._event_id = ""
        self._state = ""
        self._told_state = ""
        self._is_lost = False

    def put(self, job_id: str, seq: int, event_id: str) -> None:
        """Note that a job changed."""
        self._jobs.pop(job_id, None)
        self._jobs[job_id] = seq
        while len(self._jobs) > MAX_JOBS:
            del self._jobs[next(iter(self._jobs))]
            self._is_lost = True
        self._event_id = event_id

    def say(self, state: str) -> None:
        """Note whether changes arrive at all."""
        self._state = state

    def lose(self) -> None:
        """Note that more has changed than can be named."""
        self._is_lost = True

    def add(self, flush: Flush) -> None:
        """Note what somebody else was told by now."""
        for job_id, seq in flush.jobs.items():
            self.put(job_id, seq, flush.event_id)
        if flush.state:
            self.say(flush.state)
        if flush.is_lost:
            self.lose()
        self._event_id = flush.event_id or self._event_id

    def take(self) -> Flush:
        """Return all there is to tell, and forget it. An unchanged state comes as empty."""
        state = self._state if self._state != self._told_state else ""
        self._told_state = self._state
        flush = Flush(self._jobs, self._event_id, state, self._is_lost)
        self._jobs, self._is_lost = {}, False
        return flush
