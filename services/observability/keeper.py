"""Brings the schema up to date as soon as the database answers, and keeps it so while it runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from services.observability.delivery import forget_unmatched
from services.observability.partition import ChangePruner, ensure_partitions
from services.observability.settings import Settings
from services.runtime.db import AWAY_ERRORS, Pool, migrate
from services.runtime.errors import UnavailableError
from services.runtime.log import get_log

SCHEMA = "observability"
RETRY_S = (0.1, 3.0)
PARTITIONS_EVERY_S = 3600.0
_log = get_log(__name__)


class Keeper:
    """Makes the service ready, then makes partitions ahead and forgets what is old.

    `now` is the clock in UTC; `on_ready` is told once, when requests can be served.
    """

    def __init__(
        self,
        pool: Pool,
        settings: Settings,
        now: Callable[[], datetime],
        on_ready: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._turn_s = min(60.0, settings.feed_keep_s / 4)
        self._pruner = ChangePruner(settings.feed_keep_s)
        self._now = now
        self._on_ready = on_ready
        self._is_ready = False

    def check_ready(self) -> None:
        """Raise `UnavailableError` until the schema is there."""
        if not self._is_ready:
            raise UnavailableError(
                "observability waits for its database; try again in a few seconds"
            )

    async def run(self) -> None:
        """Prepare, then keep, until cancelled."""
        await self._prepare()
        self._is_ready = True
        self._on_ready()
        clock = asyncio.get_running_loop().time
        partitions_due = clock() + PARTITIONS_EVERY_S
        while True:
            await asyncio.sleep(self._turn_s)
            try:
                await self._pruner.prune(self._pool, clock())
                await self._forget_unmatched()
                if clock() >= partitions_due:
                    await self._make_partitions()
                    partitions_due = clock() + PARTITIONS_EVERY_S
            except AWAY_ERRORS as error:
                _log.warning("keeping_waits_for_database", error=repr(error))
            except Exception as error:
                _log.error("keeping_failed", exc_info=error)

    async def _prepare(self) -> None:
        pause_s, longest_s = RETRY_S
        while True:
            try:
                await migrate(
                    self._settings.database_url, SCHEMA, Path(__file__).parent / "migrations"
                )
                await self._make_partitions()
            except AWAY_ERRORS as error:
                _log.warning("start_waits_for_database", error=repr(error))
            else:
                return
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311
            pause_s = min(pause_s * 2, longest_s)

    async def _forget_unmatched(self) -> None:
        before = self._now() - timedelta(seconds=self._settings.keep_unmatched_s)
        if count := await forget_unmatched(self._pool, before):
            _log.info("unmatched_callbacks_forgotten", count=count, before=before.isoformat())

    async def _make_partitions(self) -> None:
        await ensure_partitions(self._pool, self._now(), self._settings.partition_days)
