"""Counts, as they happen, the jobs that worker processes complete."""

from __future__ import annotations

import asyncio
import os
import time

_SILENCE_LIMIT_S = 120.0


class Completions:
    """The reading end of the pipe into which workers write one byte a completed job."""

    def __init__(self) -> None:
        self._read, self.write_end = os.pipe()
        os.set_blocking(self._read, False)
        self._count = 0
        self._counted_at = 0.0
        self._news = asyncio.Event()

    def start(self) -> None:
        """Count from now on. Call it inside the running loop."""
        asyncio.get_running_loop().add_reader(self._read, self._on_readable)

    def close(self) -> None:
        """Stop counting."""
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        os.close(self.write_end)

    @property
    def count(self) -> int:
        """Return how many jobs were completed so far."""
        return self._count

    async def reach(self, count: int) -> float:
        """Return the monotonic time at which the `count`th job was complete.

        Raises TimeoutError when no job completes for two minutes.
        """
        while self._count < count:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _SILENCE_LIMIT_S)
            except TimeoutError as error:
                text = f"{count - self._count} jobs are not complete, and none completes"
                raise TimeoutError(text) from error
        return self._counted_at

    def _on_readable(self) -> None:
        self._count += len(os.read(self._read, 65536))
        self._counted_at = time.monotonic()
        self._news.set()
