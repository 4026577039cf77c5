"""The loop that both feeds share: wake up at once when told, else poll, and outlive errors."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from services.runtime.backoff import backoff_s
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

BACK_OFF_S = (0.4, 5.0)
_log = get_log(__name__)


class FeedLoop(ABC):
    """A feed. Nothing is read while nobody watches."""

    def __init__(self, name: str, poll_s: float, pause_s: float = 0.0) -> None:
        self._name = name
        self._poll_s = poll_s
        self._pause_s = pause_s
        self._wake = asyncio.Event()
        self._is_hinted = False
        # Set once somebody has watched.
        self.first_watcher = asyncio.Event()

    @property
    @abstractmethod
    def is_watched(self) -> bool:
        """Whether anybody watches."""

    @abstractmethod
    async def turn(self, *, is_poll: bool) -> None:
        """Tell the watchers what is new; `is_poll` asks to look for changes of other replicas."""

    def wake(self) -> None:
        """Start a turn now."""
        self._wake.set()

    def hint(self) -> None:
        """Start a turn now that looks for changes of other replicas."""
        if self.is_watched:
            self._is_hinted = True
            self._wake.set()

    async def run(self) -> None:
        """Turn until cancelled."""
        failures = 0
        next_poll = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            await self._wait(next_poll - clock())
            is_poll = self._is_hinted or clock() >= next_poll
            self._is_hinted = False
            try:
                await self.turn(is_poll=is_poll)
                failures = 0
            except Exception as error:
                failures += 1
                self._report(error)
                self._is_hinted = True
                await asyncio.sleep(backoff_s(failures, *BACK_OFF_S))
            if is_poll:
                next_poll = clock() + self._poll_s
            if self._pause_s:
                await asyncio.sleep(self._pause_s)

    async def _wait(self, left_s: float) -> None:
        if not self.is_watched:
            await self._wake.wait()
        elif not self._wake.is_set() and left_s > 0 and not self._is_hinted:
            try:
                async with asyncio.timeout(left_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    def _report(self, error: Exception) -> None:
        if isinstance(error, AWAY_ERRORS):
            _log.warning("feed_waits_for_database", feed=self._name, error=repr(error))
        else:
            _log.error("feed_turn_failed", feed=self._name, exc_info=error)
