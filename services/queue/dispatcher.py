"""Claims waiting jobs and starts them at the provider, each exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.queue.claim import Claimed, claim_batch
from services.queue.domain import Change, JobStatus
from services.queue.starter import Starter
from services.queue.transitions import REST_S, Hint, Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

_log = get_log(__name__)
_BACK_OFF_S = 0.5


class Dispatcher:
    """Claims as many jobs as may start, and lets each start run by itself.

    `max_starts` bounds how many this process has under way. Woken by local commits and by the
    lookout; looks by itself every `poll_s` as well.
    """

    def __init__(
        self,
        transitions: Transitions,
        starter: Starter,
        *,
        global_limit: int,
        max_starts: int = 64,
        poll_s: float = 1.0,
    ) -> None:
        self._transitions = transitions
        self._starter = starter
        self._global_limit = global_limit
        self._max_starts = max_starts
        self._poll_s = poll_s
        self._hint = Hint()
        self._under_way = 0
        self._left_some = False
        transitions.listen(self._on_changes)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and start until `stop` is set; then wait for the starts under way."""
        async with asyncio.TaskGroup() as starts:
            while not stop.is_set():
                self._hint.clear()
                room = self._max_starts - self._under_way
                claimed = await self._claim(room) if room > 0 else []
                # Only a claim that came back short says that no more may start.
                self._left_some = len(claimed) >= room
                for item in claimed:
                    self._under_way += 1
                    starts.create_task(self._start(item), name=f"start:{item.work.job_id}")
                if self._left_some or len(claimed) > 1:
                    await asyncio.sleep(REST_S)
                await self._hint.wait(self._poll_s)

    def wake(self) -> None:
        """Look for work now."""
        self._hint.set()

    async def _claim(self, room: int) -> list[Claimed]:
        try:
            claimed = await claim_batch(self._transitions, room, self._global_limit)
        except AWAY_ERRORS as error:
            _log.warning("claim_failed", error=type(error).__name__)
            await asyncio.sleep(_BACK_OFF_S)
            return []
        except Exception:
            # One turn is lost, not the loop; the leases of what was claimed run out.
            _log.exception("claim_broke")
            await asyncio.sleep(_BACK_OFF_S)
            return []
        for item in claimed:
            work = item.work
            _log.info(
                "job_claimed",
                job_id=str(work.job_id),
                attempt=work.attempt,
                tool=work.tool,
                account=work.account,
            )
        return claimed

    async def _start(self, item: Claimed) -> None:
        try:
            await self._starter.start(item)
        finally:
            self._under_way -= 1
            if self._left_some:
                self._hint.set()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if any(c.after.status is JobStatus.QUEUED or c.frees_slot for c in changes):
            self._hint.set()
