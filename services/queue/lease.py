"""Keeps the leases of what this process works on, so that nobody takes it over meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from services.queue import store
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

_log = get_log(__name__)


class LeaseKeeper:
    """Renews all held leases in one statement, three times a lease."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions
        self._held: set[tuple[UUID, int]] = set()
        self._lease_s = transitions.policy.scaled(transitions.policy.lease_s)

    @contextmanager
    def hold(self, job_id: UUID, attempt: int) -> Iterator[None]:
        """Renew the lease of an attempt while the block runs."""
        self._held.add((job_id, attempt))
        try:
            yield
        finally:
            self._held.discard((job_id, attempt))

    async def run(self) -> None:
        """Renew until cancelled; an error ends one turn only."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            if not self._held:
                continue
            try:
                await self._renew()
            except AWAY_ERRORS as error:
                _log.warning("leases_not_renewed", error=type(error).__name__)
            except Exception:
                # The next turn comes long before the leases run out.
                _log.exception("lease_renewal_broke")

    async def _renew(self) -> None:
        until = self._transitions.clock() + timedelta(seconds=self._lease_s)
        async with self._transitions.pool.acquire() as conn:
            await store.renew_leases(conn, sorted(self._held), until)
