"""How long and how often a stream tries to come back."""

from __future__ import annotations

import asyncio

from etapa_client.connection import backoff_s
from etapa_client.errors import UnavailableError


class Patience:
    """Pauses between attempts grow, until `limit_s` have passed without a message."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._clock = asyncio.get_running_loop().time
        self.renew()

    def renew(self) -> None:
        """Note that something arrived."""
        self._failures = 0
        self._since = self._clock()

    async def pause(self, error: UnavailableError) -> None:
        """Wait before the next attempt; raise `error` once the limit is reached."""
        self._failures += 1
        pause_s = max(backoff_s(self._failures), error.retry_after_s)
        if self._clock() + pause_s > self._since + self._limit_s:
            raise error
        await asyncio.sleep(pause_s)
