"""One subject that browsers watch, followed once for all, told in bytes that are made once.

The first change after a silence is told at once; those of a burst are coalesced (`PAUSE_S`).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from etapa_client import EtapaError
from services.console.browser import Browser
from services.console.changes import Changes, Flush
from services.console.frame import HELLO, Frame, frame_of, told
from services.runtime.log import get_log

# The least between two messages of one channel, and what share of the time their writing may take.
PAUSE_S = 0.05
SHARE = 0.25
RETRY_S = 1.0
_log = get_log(__name__)


class Channel(ABC):
    """The browsers of one subject. `run()` is its loop."""

    def __init__(self) -> None:
        self._browsers: set[Browser] = set()
        # Those who came before it was known where the subject stands, and where they left off.
        self._newcomers: dict[Browser, str] = {}
        self._is_settled = False
        self._state = ""
        self._pending = Changes()
        self._due: asyncio.TimerHandle | None = None
        self._free_at = 0.0

    @abstractmethod
    async def follow(self) -> None:
        """Follow the subject until something ends that; it is called again a moment later."""

    @abstractmethod
    def since(self, place: str) -> Flush:
        """Return what a browser has to be told that left off at a place."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody watches."""
        return not self._browsers and not self._newcomers

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.follow()
            except EtapaError:
                self.say("away")
            except Exception as error:
                _log.error("follow_failed", exc_info=error)
                self.say("away")
            await asyncio.sleep(RETRY_S)

    def join(self, browser: Browser, place: str) -> None:
        """Tell a browser where the subject stands, and from now on each change."""
        greeting = Flush(state=self._state)
        browser.tell(frame_of(HELLO + told(greeting)), greeting)
        self._newcomers[browser] = place
        if self._is_settled:
            self.settle()

    def leave(self, browser: Browser) -> None:
        """Forget a browser."""
        self._browsers.discard(browser)
        self._newcomers.pop(browser, None)

    def end(self) -> None:
        """Tell nobody anything any more."""
        if self._due is not None:
            self._due.cancel()

    def settle(self) -> None:
        """Tell newcomers what they have missed, now that it is known."""
        self._is_settled = True
        newcomers, self._newcomers = self._newcomers, {}
        # After a restart many come back at once, most of them from the same place.
        made: dict[str, tuple[Frame, Flush]] = {}
        for browser, place in newcomers.items():
            if place not in made:
                flush = self.since(place)
                made[place] = (frame_of(told(flush)), flush)
            frame, flush = made[place]
            if flush:
                browser.tell(frame, flush)
        self._browsers.update(newcomers)

    def say(self, state: str) -> None:
        """Tell whether changes arrive at all: live or away."""
        if state == self._state:
            return
        self._state = state
        flush = Flush(state=state)
        frame = frame_of(told(flush))
        for browser in (*self._browsers, *self._newcomers):
            browser.tell(frame, flush)

    def lose(self) -> None:
        """Have all browsers read anew what they show, with the next change."""
        self._pending.lose()

    def note(self, jobs: Mapping[str, int], event_id: str) -> None:
        """Tell that jobs changed: at once, or when the next message may go out."""
        for job_id, seq in jobs.items():
            self._pending.put(job_id, seq, event_id)
        if self._due is not None:
            return
        wait_s = self._free_at - time.monotonic()
        if wait_s <= 0:
            self._tell()
        else:
            self._due = asyncio.get_running_loop().call_later(wait_s, self._tell)

    def _tell(self) -> None:
        self._due = None
        flush = self._pending.take()
        frame = frame_of(told(flush))
        begun = time.monotonic()
        for browser in self._browsers:
            browser.tell(frame, flush)
        ended = time.monotonic()
        self._free_at = begun + max(PAUSE_S, (ended - begun) / SHARE)
