"""Connections that are held open and lent: no check and no reset between two uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

C = TypeVar("C")


class Held(Generic[C]):
    """Lends one connection at a time to one user; the one given back last goes out first."""

    def __init__(self, connections: list[C]) -> None:
        self.all = connections
        self._free: asyncio.LifoQueue[C] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[C]:
        """Wait for a free connection and take it back at the end."""
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)
