"""The first look at every connection: plain callbacks are kept at once, the rest is aiohttp's.

Most of what aiohttp does for a request, it does for requests that are not like this one. So a
connection begins here, and is handed over to aiohttp, for good and before anything was answered
of what is strange in it, with its first byte that is no plain callback. Neither slow senders nor
large bodies nor malformed requests are dealt with here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from services.runtime.ids import new_id, token_hash
from services.runtime.log import get_log
from services.runtime.tracing import LightSpan
from services.webhook.arrival import end_callback_span, start_callback_span, status_of
from services.webhook.domain import Delivery
from services.webhook.inbox import Inbox
from services.webhook.plain import MAX_BODY_BYTES, MAX_HEAD_BYTES, Plain, cut
from services.webhook.reply import kept_reply, refused_reply

log = get_log(__name__)

# For the rest of a request that has begun; then aiohttp waits for it, by its own time-outs.
PATIENCE_S = 0.2
# Here and at aiohttp. Each may hold a body; whoever comes too many is closed at once.
MOST_CONNECTIONS = 1000
_MOST_WAITING_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES

MakeProtocol = Callable[[], asyncio.Protocol]


class CallbackFront:
    """Makes the protocols of new connections, and ends them in order."""

    def __init__(self, inbox: Inbox, *, max_bytes: int, idle_timeout_s: float) -> None:
        self.inbox = inbox
        self.max_body_bytes = min(max_bytes, MAX_BODY_BYTES)
        self.idle_timeout_s = idle_timeout_s
        self.is_draining = False
        self._make_rest: MakeProtocol = asyncio.Protocol
        self._here: dict[_Connection, asyncio.Transport] = {}
        self._handed_over: set[asyncio.Transport] = set()
        self._left = asyncio.Event()

    def over(self, rest: MakeProtocol) -> MakeProtocol:
        """Return the maker of protocols that hand over to those of `rest`."""
        self._make_rest = rest
        return lambda: _Connection(self)

    async def drain(self, grace_s: float) -> None:
        """Close what is idle, answer what is under way, hand over or end the rest."""
        self.is_draining = True
        for connection in tuple(self._here):
            connection.close_if_idle()
        try:
            async with asyncio.timeout(grace_s):
                while self._here:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            for transport in tuple(self._here.values()):
                transport.abort()

    def enter(self, connection: _Connection, transport: asyncio.Transport) -> bool:
        """Count a connection in, and say whether there is room for it."""
        if len(self._here) + len(self._handed_over) >= MOST_CONNECTIONS:
            self._handed_over = {one for one in self._handed_over if not one.is_closing()}
            if len(self._here) + len(self._handed_over) >= MOST_CONNECTIONS:
                return False
        self._here[connection] = transport
        return True

    def leave(self, connection: _Connection) -> None:
        """Count a connection out; harmless where it is not counted."""
        self._here.pop(connection, None)
        self._left.set()

    def hand_over(self, connection: _Connection, transport: asyncio.Transport) -> asyncio.Protocol:
        """Give the connection to a protocol of the rest, and return that."""
        self.leave(connection)
        self._handed_over.add(transport)
        rest = self._make_rest()
        transport.set_protocol(rest)
        rest.connection_made(transport)
        return rest


class _Connection(asyncio.Protocol):
    """One connection; at most one callback of it is being kept."""

    def __init__(self, front: CallbackFront) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._needed = 1
        self._under_way: tuple[Delivery, LightSpan] | None = None
        self._is_full = self._is_paused = False
        self._used_at = self._loop.time()
        self._patience: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._front.enter(self, self._transport):
            log.warning("connection_refused", most=MOST_CONNECTIONS)
            self._transport.abort()
            return
        self._idle = self._loop.call_later(self._front.idle_timeout_s, self._check_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_timers()
        self._front.leave(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._under_way is None and not self._is_full:
            self._next()
        elif len(self._buffer) > _MOST_WAITING_BYTES and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._under_way is None and self._buffer:
            self._next()

    def close_if_idle(self) -> None:
        """Close unless a request is here, in part or whole."""
        if self._transport is not None and self._under_way is None and not self._buffer:
            self._transport.close()

    def _next(self) -> None:
        """Take the next callback out of what came, if it is whole; hand over what is none."""
        self._resume_reading()
        if len(self._buffer) < self._needed:
            return
        found = cut(self._buffer, self._front.max_body_bytes)
        if isinstance(found, Plain):
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None
            self._needed = 1
            self._buffer = self._buffer[found.end :]
            self._keep(found)
        elif found:
            self._needed = found
            if self._patience is None:
                self._patience = self._loop.call_later(PATIENCE_S, self._hand_over)
        else:
            self._hand_over()

    def _keep(self, plain: Plain) -> None:
        span = start_callback_span()
        delivery = Delivery(
            delivery_id=new_id(),
            token_hash=token_hash(plain.token.decode()),
            target=plain.route + b"*" * len(plain.token),
            headers=plain.headers,
            body=plain.body,
            body_bytes=len(plain.body),
            is_too_large=False,
            received_at=datetime.now(UTC),
            traceparent=span.traceparent,
        )
        self._under_way = delivery, span
        self._front.inbox.keep(delivery).add_done_callback(self._answer)

    def _answer(self, kept: asyncio.Future[None]) -> None:
        assert self._under_way is not None  # noqa: S101 - it began this
        (delivery, span), self._under_way = self._under_way, None
        error = asyncio.CancelledError() if kept.cancelled() else kept.exception()
        status = 200 if error is None else status_of(error, delivery.delivery_id)
        end_callback_span(span, status)
        self._used_at = self._loop.time()
        transport = self._transport
        if transport is None:
            return
        transport.write(kept_reply() if status == 200 else refused_reply(status))
        if status != 200 or (self._front.is_draining and not self._buffer):
            transport.close()
        elif self._buffer and not self._is_full:
            self._next()

    def _hand_over(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._resume_reading()
        self._transport = None
        self._stop_timers()
        rest = self._front.hand_over(self, transport)
        rest.data_received(self._buffer)

    def _resume_reading(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def _check_idle(self) -> None:
        left_s = self._used_at + self._front.idle_timeout_s - self._loop.time()
        if self._under_way is not None:
            left_s = self._front.idle_timeout_s
        if left_s > 0:
            self._idle = self._loop.call_later(left_s, self._check_idle)
        elif self._transport is not None:
            self._transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._patience, self._idle):
            if timer is not None:
                timer.cancel()
