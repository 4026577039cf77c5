"""Puts the parts of one gateway process together: edges, inbox, and the two forwarding loops."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aiohttp import web

from etapa_client.client import EtapaClient
from services.runtime.blobs import BlobStore
from services.runtime.db import AWAY_ERRORS, Pool, migrate
from services.runtime.log import get_log
from services.webhook.app import CallbackEdge, Limits
from services.webhook.domain import Peer
from services.webhook.forward import BATCH, Forwarder
from services.webhook.front import CallbackFront
from services.webhook.health import HealthEdge
from services.webhook.held import HOLD_S, Passage
from services.webhook.inbox import Inbox
from services.webhook.media import MediaEdge
from services.webhook.outgoing import bytes_sender, callback_sender
from services.webhook.settings import Settings
from services.webhook.store import MIGRATIONS, SCHEMA, move_due

log = get_log(__name__)

LONGEST_PAUSE_S = 2.0
LAST_WORDS_S = 2.0


class Gateway:
    """One gateway over an open pool, which need not reach a server yet."""

    def __init__(self, settings: Settings, pool: Pool, client: EtapaClient) -> None:
        self._settings = settings
        self._pool = pool
        blobs = BlobStore(settings.blobs)
        to_queue = callback_sender(client.queue.report_callbacks)
        to_observability = bytes_sender(client.intake.record_deliveries, blobs)
        self._forwarders = (
            Forwarder(
                pool,
                Peer.QUEUE,
                to_queue,
                poll_s=settings.poll_s,
                give_up_s=settings.keep_refused_s,
            ),
            # Never given up: only there the bytes are kept that a 200 promised.
            Forwarder(pool, Peer.OBSERVABILITY, to_observability, poll_s=settings.poll_s),
        )
        self._passage = Passage(pool, self._forwarders)
        self.inbox = Inbox(pool, self._passage, timeout_s=settings.store_timeout_s)
        self.front = CallbackFront(
            self.inbox, max_bytes=settings.max_bytes, idle_timeout_s=settings.idle_timeout_s
        )
        self.app = web.Application()
        CallbackEdge(self.inbox, Limits(settings.max_bytes, settings.read_timeout_s)).add_to(
            self.app
        )
        MediaEdge(blobs, settings.media_key).add_to(self.app)
        HealthEdge(pool).add_to(self.app)
        if not settings.media_key:
            log.warning("media_links_off", setting="ETAPA_MEDIA_KEY")

    async def work(self) -> None:
        """Migrate as soon as the database answers, then forward until cancelled."""
        await self._migrate()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._passage.run(), name="passage")
                for forwarder in self._forwarders:
                    group.create_task(forwarder.run(), name=f"forwarder:{forwarder.peer}")
        finally:
            await self._let_go()

    async def _migrate(self) -> None:
        failures = 0
        while True:
            try:
                await migrate(self._settings.database_url, SCHEMA, MIGRATIONS)
                await self._take_over()
            except AWAY_ERRORS as error:
                failures += 1
                if failures == 1 or failures % 30 == 0:
                    log.warning("database_away", error=repr(error), failures=failures)
            else:
                return
            # Callbacks are answered 503 meanwhile, and /healthz says so.
            await asyncio.sleep(LONGEST_PAUSE_S * random.uniform(0.1, 0.5))  # noqa: S311

    async def _take_over(self) -> None:
        """Make due what gateways held that were killed, and others, who repeat a little then."""
        held_by_all = datetime.now(UTC) + timedelta(seconds=2 * HOLD_S)
        async with self._pool.acquire() as conn:
            while await move_due(conn, held_by_all, BATCH) == BATCH:
                pass

    async def _let_go(self) -> None:
        """Leave to other gateways, at once, what this one can't tell any more."""
        # Whatever does not come of it comes of itself, once the rows are due.
        with suppress(*AWAY_ERRORS):
            async with asyncio.timeout(LAST_WORDS_S):
                for forwarder in self._forwarders:
                    forwarder.let_go()
                await self._passage.flush()
