"""Learns how long each tool usually runs at the provider, for estimates and for what is late."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from services.queue import store_operations
from services.queue.domain import Change, Outcome, Phase
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

_log = get_log(__name__)


class RunTimes:
    """Collects the run times of verified successes and writes them every `every_s`."""

    def __init__(self, transitions: Transitions, *, every_s: float = 5.0) -> None:
        self._pool = transitions.pool
        self._every_s = every_s
        self._seen: dict[str, list[float]] = defaultdict(list)
        transitions.listen(self._on_changes)

    async def run(self) -> None:
        """Write what was seen until cancelled. A lost estimate is no harm."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.flush()
            except AWAY_ERRORS as error:
                _log.debug("run_times_not_written", error=type(error).__name__)
            except Exception:
                _log.exception("run_times_broke")

    async def flush(self) -> None:
        """Write what was seen since the last time."""
        seen, self._seen = self._seen, defaultdict(list)
        if seen:
            async with self._pool.acquire() as conn:
                await store_operations.learn_run_times(conn, seen)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            before, after = change.before.current, change.after.current
            if before is None or after is None or before.phase is not Phase.ACCEPTED:
                continue
            is_success = after.phase is Phase.FINALISING or after.outcome is Outcome.SUCCEEDED
            if is_success and after.accepted_at is not None:
                ended_at = max((e.occurred_at for e in change.events), default=after.accepted_at)
                seconds = (ended_at - after.accepted_at).total_seconds()
                self._seen[change.after.tool].append(max(seconds, 0.0))
