"""Arrivals in memory, from their commit until both peers have them: the plain course of a callback.

The rows of `arrivals` stay the truth. Who is told from memory is told once more where a crash
came between; whoever can't be told from memory is told from the inbox, to which its row moves.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from services.runtime.backoff import backoff_s
from services.runtime.db import AWAY_ERRORS, RACE_ERRORS, Pool
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Delivery, Peer

log = get_log(__name__)

# Longer than a peer may take for two batches: until then no other gateway touches what is held.
HOLD_S = 30.0
# The least rest after a commit, so that under load the next one settles more.
REST_S = 0.1
BATCH = 500
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
_ALL = frozenset(Peer)


@dataclass(slots=True, eq=False)
class Held:
    """An arrival in memory; `awaited` counts the forwarders that have it, `untold` the peers."""

    delivery: Delivery
    awaited: int
    untold: frozenset[Peer]
    settle: Callable[[Held], None]

    def end(self, peer: Peer, *, is_told: bool) -> None:
        """Let one forwarder go, which told its peer or leaves that to the inbox."""
        if is_told:
            self.untold -= {peer}
        self.awaited -= 1
        if not self.awaited:
            self.settle(self)


class Holder(Protocol):
    """What a forwarder is to those who give it arrivals."""

    @property
    def is_open(self) -> bool:
        """Whether it takes more into memory."""

    def take(self, held: Sequence[Held]) -> None:
        """Pass on from memory what has just been kept."""

    def look(self) -> None:
        """Hint that the tables have something new."""


class Passage:
    """From the commit of an arrival past the inbox to the peers, and then out of the table."""

    def __init__(self, pool: Pool, holders: Sequence[Holder]) -> None:
        self._pool = pool
        self._holders = tuple(holders)
        self._settled: dict[frozenset[Peer], list[uuid.UUID]] = defaultdict(list)
        self._new = asyncio.Event()
        # Something is to move: whoever was away may be back at any moment.
        self._left = asyncio.Event()

    def open_now(self) -> list[Holder]:
        """Return who would take what is about to be kept."""
        return [one for one in self._holders if one.is_open]

    def hold(self, deliveries: Sequence[Delivery], holders: Sequence[Holder]) -> None:
        """Give what is kept to those who take it; nobody's is due in the table already."""
        if holders:
            held = [Held(one, len(holders), _ALL, self._settle) for one in deliveries]
            for holder in holders:
                holder.take(held)
        else:
            self._look()

    async def run(self) -> None:
        """Settle until cancelled; what fails is tried again, and a repetition is harmless."""
        failures = 0
        while True:
            await self._new.wait()
            self._new.clear()
            self._left.clear()
            try:
                await self.flush()
                failures = 0
            except Exception as error:
                failures += 1
                self._new.set()
                is_fault = not isinstance(error, (*AWAY_ERRORS, *RACE_ERRORS))
                if is_fault or failures == 1 or failures % 30 == 0:
                    log.warning("callbacks_not_settled", failures=failures, exc_info=is_fault)
            pause_s = backoff_s(failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S) if failures else 0
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause_s, REST_S)):
                    await self._left.wait()

    async def flush(self) -> None:
        """Delete what both peers were told, and move the rest to the inbox."""
        for untold, ids in tuple(self._settled.items()):
            while batch := ids[:BATCH]:
                async with self._pool.acquire() as conn:
                    if untold:
                        await store.move_arrivals(conn, batch, untold)
                        self._look()
                    else:
                        failpoint("forwarded_not_deleted")
                        await store.delete_arrivals(conn, batch)
                del ids[: len(batch)]

    def _settle(self, held: Held) -> None:
        self._settled[held.untold].append(held.delivery.delivery_id)
        self._new.set()
        if held.untold:
            self._left.set()

    def _look(self) -> None:
        for holder in self._holders:
            holder.look()


def held_until(holders: Sequence[Holder]) -> datetime:
    """Return until when arrivals are nobody else's: not at all where nobody takes them."""
    now = datetime.now(UTC)
    return now + timedelta(seconds=HOLD_S) if holders else now
