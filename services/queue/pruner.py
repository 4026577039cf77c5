"""Forgets what nobody needs any more, in bounded batches; the ledger and the trail stay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from services.queue import store_outbox
from services.runtime.db import AWAY_ERRORS, Connection, Pool, transaction
from services.runtime.log import get_log

_log = get_log(__name__)
Prune: TypeAlias = Callable[[Connection, datetime, int], Awaitable[int]]
_BATCH = 500


class Pruner:
    """Prunes every `every_s`. Any number of processes may."""

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[], datetime],
        *,
        keep_finished_s: float,
        every_s: float = 60.0,
    ) -> None:
        if keep_finished_s < 0 or every_s <= 0:
            raise ValueError("a pruner needs a time to keep and a time between its turns")
        self._pool = pool
        self._clock = clock
        self._keep = timedelta(seconds=keep_finished_s)
        self._every_s = every_s

    async def run(self) -> None:
        """Prune until cancelled; an error ends one turn only."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                pruned = await self.prune()
            except AWAY_ERRORS as error:
                _log.warning("prune_failed", error=type(error).__name__)
            except Exception:
                _log.exception("prune_broke")
            else:
                if any(pruned.values()):
                    _log.info("queue_pruned", **pruned)

    async def prune(self) -> dict[str, int]:
        """Prune all that is due; return how many of what."""
        now = self._clock()
        return {
            "jobs": await self._all(store_outbox.prune_jobs, now - self._keep),
            "callbacks": await self._all(store_outbox.prune_callbacks, now - self._keep),
            "uploads": await self._all(store_outbox.prune_uploads, now),
            "rejected_events": await self._all(
                store_outbox.prune_rejected_events, now - self._keep
            ),
        }

    async def _all(self, prune: Prune, before: datetime) -> int:
        total = 0
        while True:
            async with transaction(self._pool) as conn:
                count = await prune(conn, before, _BATCH)
            total += count
            if count < _BATCH:
                return total
