"""Deliveries on their way from memory: kept a moment ago, by this process, and nobody else's yet.

The rows of the inbox stay the truth. A row that is held says until when; whatever a crash leaves
held is due then, or as soon as a gateway starts.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from services.runtime.backoff import backoff_s
from services.runtime.db import AWAY_ERRORS, RACE_ERRORS, Pool, transaction
from services.runtime.failpoints import failpoint
from services.runtime.log import get_log
from services.webhook import store
from services.webhook.domain import Delivery, Peer

log = get_log(__name__)

# Longer than a peer may take for two batches: until then no other gateway sends what is held.
HOLD_S = 30.0
# The least rest after a commit, so that under load the next one deletes more.
REST_S = 0.1
BATCH = 500
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0


@dataclass(slots=True, eq=False)
class Held:
    """A delivery in memory; `awaited` counts the forwarders that have it."""

    delivery: Delivery
    awaited: int
    settle: Callable[[Held], None]
    told: list[Peer] = field(default_factory=list)

    def end(self, told: Peer | None) -> None:
        """Let one forwarder go: it told its peer, or (None) leaves that to the table."""
        if told is not None:
            self.told.append(told)
        self.awaited -= 1
        if not self.awaited:
            self.settle(self)


class Holder(Protocol):
    """What a forwarder is to those who give it deliveries."""

    @property
    def peer(self) -> Peer:
        """To whom it passes deliveries on."""

    @property
    def is_open(self) -> bool:
        """Whether it takes more into memory."""

    def take(self, held: Sequence[Held]) -> None:
        """Pass on from memory what is kept now."""

    def look(self) -> None:
        """Hint that the table has something new."""


class Settler:
    """Deletes from the inbox what was told from memory: many deliveries by one commit."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._finished: list[uuid.UUID] = []
        # What only this peer was told from memory; the other one's row is in the table.
        self._told: dict[Peer, list[uuid.UUID]] = {peer: [] for peer in Peer}
        self._new = asyncio.Event()

    def settle(self, held: Held) -> None:
        """Delete soon what these peers know."""
        delivery_id = held.delivery.delivery_id
        if len(held.told) == len(Peer):
            self._finished.append(delivery_id)
        elif held.told:
            self._told[held.told[0]].append(delivery_id)
        else:
            return
        self._new.set()

    async def run(self) -> None:
        """Delete until cancelled; what fails is tried again, and a repetition is harmless."""
        failures = 0
        while True:
            await self._new.wait()
            self._new.clear()
            try:
                await self.flush()
                failures = 0
            except (*AWAY_ERRORS, *RACE_ERRORS) as error:
                failures += 1
                self._new.set()
                log.warning("callbacks_not_deleted", error=repr(error), failures=failures)
            pause_s = backoff_s(failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S) if failures else 0
            await asyncio.sleep(max(pause_s, REST_S))

    async def flush(self) -> None:
        """Delete all that is known until now."""
        while ids := self._finished[:BATCH]:
            failpoint("forwarded_not_deleted")
            async with self._pool.acquire() as conn:
                await store.delete_told(conn, ids)
            del self._finished[: len(ids)]
        for peer, told in self._told.items():
            while ids := told[:BATCH]:
                async with transaction(self._pool) as conn:
                    await store.delete_acknowledged(conn, peer, ids)
                del told[: len(ids)]


class Passage:
    """Past the table: from the inbox to those forwarders that take deliveries from memory."""

    def __init__(self, settler: Settler, holders: Sequence[Holder]) -> None:
        self._settle = settler.settle
        self._holders = tuple(holders)

    def open_now(self) -> Sequence[Holder]:
        """Return who would take deliveries that are about to be kept."""
        return [one for one in self._holders if one.is_open]

    def held_until(self, holders: Sequence[Holder]) -> dict[Peer, datetime]:
        """Return until when each peer's row belongs to its holder; the past where it has none."""
        now = datetime.now(UTC)
        held = {one.peer for one in holders}
        return {
            one.peer: now + timedelta(seconds=HOLD_S) if one.peer in held else now
            for one in self._holders
        }

    def pass_on(self, deliveries: Sequence[Delivery], holders: Sequence[Holder]) -> None:
        """Give kept deliveries to their holders; the others find them in the table."""
        if holders:
            held = [Held(one, len(holders), self._settle) for one in deliveries]
            for holder in holders:
                holder.take(held)
        for holder in self._holders:
            if holder not in holders:
                holder.look()
