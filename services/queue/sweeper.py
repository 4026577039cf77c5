"""Looks now and then for what nobody else will: passed deadlines and workers that fell silent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from services.queue import store
from services.queue.callbacks import Callbacks
from services.queue.command import CheckDeadline, Command, ExpireLease
from services.queue.hint import Hint
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.log import get_log

_log = get_log(__name__)
_LIMIT = 500
_AWAY: tuple[type[BaseException], ...] = (*AWAY_ERRORS, UnavailableError)


class Sweeper:
    """Sweeps when woken, and every `every_s`. Any number of processes may: the state machine lets
    one win.
    """

    def __init__(self, transitions: Transitions, callbacks: Callbacks, *, every_s: float) -> None:
        self._transitions = transitions
        self._callbacks = callbacks
        self._every_s = every_s
        self._hint = Hint()

    async def run(self) -> None:
        """Sweep until cancelled; an error ends one turn only."""
        while True:
            await self._hint.wait(self._every_s)
            try:
                await self.sweep()
            except _AWAY as error:
                _log.warning("sweep_failed", error=type(error).__name__)
            except Exception:
                _log.exception("sweep_broke")

    def wake(self) -> None:
        """Sweep now."""
        self._hint.set()

    async def sweep(self) -> None:
        """Look once, and settle what is found."""
        now = self._transitions.clock()
        async with self._transitions.pool.acquire() as conn:
            overdue = await store.find_deadlines(conn, now, _LIMIT)
            silent = await store.find_expired_leases(conn, now, _LIMIT)
        await self._settle(CheckDeadline(job_id) for job_id in overdue)
        await self._settle(ExpireLease(job_id, attempt) for job_id, attempt in silent)
        await self._callbacks.match_late()

    async def _settle(self, commands: Iterable[Command]) -> None:
        results = await asyncio.gather(
            *(self._transitions.run(command) for command in commands), return_exceptions=True
        )
        for result in results:
            if isinstance(result, UnavailableError):
                raise result
            if isinstance(result, EtapaError):
                _log.debug("sweep_was_late", why=str(result))
            elif isinstance(result, BaseException):
                _log.error("sweep_settling_broke", exc_info=result)
