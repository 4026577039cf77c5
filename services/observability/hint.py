"""Hints between replicas that something is new. Lost hints cost time only: the feeds always poll.

NOTIFY takes a lock on the whole database at its commit, so hints are sent outside the data's
transactions and many commits share one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from services.observability.feed_loop import FeedLoop
from services.observability.store import feed
from services.runtime.db import AWAY_ERRORS, Pool
from services.runtime.ids import new_id
from services.runtime.log import get_log

CHANNEL = "etapa_observability"
# The most that a hint waits for others to share its NOTIFY.
SHARE_S = 0.05
BACK_OFF_S = 2.0
_log = get_log(__name__)


class Hints:
    """Sends hints after commits and listens for those of others while anybody watches."""

    def __init__(self, pool: Pool, feeds: Sequence[FeedLoop]) -> None:
        self._pool = pool
        self._feeds = feeds
        self._name = new_id().hex
        self._due = asyncio.Event()

    def send(self) -> None:
        """Ask for a hint to be sent soon."""
        self._due.set()

    async def run_sender(self) -> None:
        """Send hints until cancelled; an error costs one hint only."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                async with self._pool.acquire() as conn:
                    await feed.notify_feeds(conn, self._name)
            except AWAY_ERRORS as error:
                _log.warning("hint_not_sent", error=repr(error))
                await _back_off()
            except Exception:
                _log.exception("hint_sender_broke")
                await _back_off()
            await asyncio.sleep(SHARE_S)

    async def run_listener(self) -> None:
        """Listen from the first watcher on, until cancelled; connect anew when cut off."""
        firsts = [asyncio.ensure_future(each.first_watcher.wait()) for each in self._feeds]
        try:
            await asyncio.wait(firsts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for first in firsts:
                first.cancel()
        while True:
            try:
                await self._listen()
            except AWAY_ERRORS as error:
                _log.warning("hints_not_heard", error=repr(error))
            except Exception:
                _log.exception("hint_listener_broke")
            await _back_off()

    async def _listen(self) -> None:
        cut_off = asyncio.Event()

        def on_end(_conn: Any) -> None:
            cut_off.set()

        listen: Callable[..., None] = self._hear
        async with self._pool.acquire() as conn:
            conn.add_termination_listener(on_end)
            await conn.add_listener(CHANNEL, listen)
            try:
                await cut_off.wait()
            finally:
                await _forget(conn, listen, on_end)

    def _hear(self, _conn: Any, _pid: int, _channel: str, sender: object) -> None:
        if sender != self._name:
            for each in self._feeds:
                each.hint()


async def _back_off() -> None:
    await asyncio.sleep(BACK_OFF_S * random.uniform(0.5, 1))  # noqa: S311


async def _forget(conn: Any, listen: Callable[..., None], on_end: Callable[..., None]) -> None:
    conn.remove_termination_listener(on_end)
    try:
        await conn.remove_listener(CHANNEL, listen)
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
        # The connection is gone, and with it the listener.
        return
