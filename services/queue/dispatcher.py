"""Starts claimed jobs at the provider, each exactly once, and claims those that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.queue.claim import Claimed, Claims, Entrances
from services.queue.crew import Crew
from services.queue.domain import Change, JobStatus
from services.queue.starter import Starter
from services.runtime.log import get_log

_log = get_log(__name__)


class Dispatcher:
    """Lets each start run by itself, up to `max_starts` at once.

    Jobs come from `entrances`, where they join a queue in which nobody waits, and from claims.
    Woken by local commits and by the lookout; looks by itself every `poll_s` as well.
    """

    def __init__(
        self, claims: Claims, starter: Starter, *, max_starts: int = 64, poll_s: float = 1.0
    ) -> None:
        self._transitions = claims.transitions
        self._crew: Crew[Claimed] = Crew(
            claims.claim_batch, self._start, name="start", most=max_starts, poll_s=poll_s
        )
        self._starter = starter
        self.entrances = Entrances(claims, self._crew)
        self._transitions.listen(self._on_changes)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and start until `stop` is set; then wait for the starts under way."""
        await self._crew.run(stop)

    def wake(self) -> None:
        """Look for work now."""
        self._crew.wake()

    async def _start(self, item: Claimed) -> None:
        work = item.work
        _log.info(
            "job_claimed",
            job_id=str(work.job_id),
            attempt=work.attempt,
            tool=work.tool,
            account=work.account,
        )
        await self._starter.start(item)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if any(c.after.status is JobStatus.QUEUED or c.is_awaited for c in changes):
            self._crew.wake()
