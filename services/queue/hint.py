"""Wakes loops, without any promise: whoever is woken looks by itself now and then, too."""

from __future__ import annotations

import asyncio


class Hint:
    """Wakes a loop. A hint only: whoever waits for it also looks by itself now and then."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Say that there may be something to do."""
        self._event.set()

    def clear(self) -> None:
        """Forget hints so far: a look that begins now sees what they were about."""
        self._event.clear()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next hint, or after the time; a hint given meanwhile counts."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()
