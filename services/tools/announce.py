"""Tells queue and observability what the catalogue holds: at start-up, and again and again.

Repeating is idempotent and cheap, and heals a database that was set up anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from etapa.queue.v1 import operations_pb2
from etapa_client.errors import EtapaError
from services.runtime.backoff import backoff_s
from services.runtime.log import get_log
from services.tools.registry import Registry
from services.tools.wire import announcement_to_proto

log = get_log(__name__)
_FIRST_PAUSE_S = 0.4
_LONGEST_PAUSE_S = 5.0

Announce = Callable[[Sequence[operations_pb2.ToolAnnouncement]], Awaitable[None]]


class Announcer:
    """Announces to one listener, which is named in the logs."""

    def __init__(
        self, registry: Registry, listener: str, announce: Announce, every_s: float
    ) -> None:
        self._tools = [announcement_to_proto(tool) for tool in registry]
        self._listener = listener
        self._announce = announce
        self._every_s = every_s
        self.announced = asyncio.Event()

    async def run(self) -> None:
        """Announce until cancelled; `announced` is set after the first success."""
        failures = 0
        while True:
            try:
                await self._announce(self._tools)
            except EtapaError as err:
                failures += 1
                self._log_failure(failures, err)
            except Exception:
                failures += 1
                log.exception("announcing_broke", listener=self._listener)
            else:
                self._log_success(failures)
                failures = 0
                self.announced.set()
            await asyncio.sleep(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float:
        if not failures:
            return self._every_s
        return backoff_s(failures, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)

    def _log_failure(self, failures: int, err: EtapaError) -> None:
        # The first of a row only: a listener that starts later than we do is no news.
        if failures == 1:
            log.warning("announce_failed", listener=self._listener, cause=err.message)

    def _log_success(self, failures: int) -> None:
        if failures or not self.announced.is_set():
            log.info("tools_announced", listener=self._listener, tools=len(self._tools))
