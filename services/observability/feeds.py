"""All feeds of one process together: what a commit tells them, and the loops that they need."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from services.observability.event_feed import EventFeed
from services.observability.fold import Folded
from services.observability.hint import Hints
from services.observability.job_feed import JobFeed
from services.observability.settings import Settings
from services.observability.step_log import log_steps
from services.runtime.db import Pool


class Feeds:
    """The feed of events, the feed of jobs, and the hints to and from other replicas."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        poll_s, limit = settings.poll_s, settings.max_watchers
        self.events = EventFeed(pool, poll_s=poll_s, max_watchers=limit)
        self.jobs = JobFeed(pool, poll_s=poll_s, max_watchers=limit)
        self._hints = Hints(pool, (self.events, self.jobs))

    def told(self, folded: Folded) -> None:
        """Take note of a commit: tell who watches, hint to the other replicas, log its steps."""
        if folded.jobs:
            self.events.offer(folded)
            self.jobs.touch()
            self._hints.send()
        log_steps(folded)

    @property
    def loops(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """What must run while the process serves."""
        return (
            self.events.run,
            self.jobs.run,
            self._hints.run_sender,
            self._hints.run_listener,
        )
