"""Provider time: turns provider seconds into real ones, so that one setting scales everything."""

from __future__ import annotations

import asyncio


class Pace:
    """How fast provider time passes; `scale` is real seconds per provider second."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def real_s(self, provider_s: float) -> float:
        """Return how many real seconds a span of provider time lasts."""
        return provider_s * self.scale

    def provider_s(self, real_s: float) -> float:
        """Return how much provider time passes in some real seconds."""
        return real_s / self.scale

    async def sleep(self, provider_s: float) -> None:
        """Wait for a span of provider time."""
        await asyncio.sleep(self.real_s(provider_s))

    async def sleep_unless(self, event: asyncio.Event, provider_s: float) -> bool:
        """Wait for a span of provider time or for `event`; say whether the event came."""
        try:
            await asyncio.wait_for(event.wait(), self.real_s(provider_s))
        except TimeoutError:
            return event.is_set()
        return True
