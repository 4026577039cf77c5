"""One lazily opened channel to one address: deadlines, safe retries, errors as classes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc
from grpc import aio

from etapa_client.errors import EtapaError, UnavailableError, error_from

Request = TypeVar("Request")
Response = TypeVar("Response")

READ_S = 10.0
WRITE_S = 20.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
KEEPALIVE_S = 30
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
ATTEMPTS = 4


def channel_options() -> list[tuple[str, Any]]:
    """Channel options that fit the limits and ping policy of Etapa's servers."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", 32 * 1024),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # This client retries by itself, so that it can tell what is safe to repeat.
        ("grpc.enable_retries", 0),
    ]


class Connection:
    """Calls to one address. The channel opens with the first call and closes with `close()`."""

    def __init__(
        self, address: str, setting: str, interceptors: Sequence[aio.ClientInterceptor] = ()
    ) -> None:
        self.address = address
        self._setting = setting
        self._interceptors = interceptors
        self._channel: aio.Channel | None = None

    @property
    def channel(self) -> aio.Channel:
        """The channel; the first reading opens it."""
        if not self.address:
            raise EtapaError(
                f"This client was made without the address of the {self._setting} service. "
                f"Pass EtapaClient({self._setting}=\"host:port\").",
                reason="NO_ADDRESS",
                code=grpc.StatusCode.FAILED_PRECONDITION,
            )
        if self._channel is None:
            self._channel = aio.insecure_channel(
                self.address, options=channel_options(), interceptors=self._interceptors
            )
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def unary(
        self,
        method: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float,
        *,
        repeatable: bool,
    ) -> Response:
        """Call once, or as often as fits into `timeout_s` where repeating is safe."""

        async def once(left_s: float) -> Response:
            return await method(request, timeout=left_s)

        return await self.attempts(once, timeout_s, repeatable=repeatable)

    async def attempts(
        self, once: Callable[[float], Any], timeout_s: float, *, repeatable: bool
    ) -> Any:
        """Await `once(seconds left)`; repeat on UNAVAILABLE, within one overall deadline."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        attempt = 0
        while True:
            attempt += 1
            try:
                return await once(max(end - clock(), 0.001))
            except aio.AioRpcError as call_error:
                error = error_from(call_error, self.address)
                pause_s = max(backoff_s(attempt), error.retry_after_s)
                again = repeatable and attempt < ATTEMPTS and clock() + pause_s < end
                if not (again and isinstance(error, UnavailableError)):
                    raise error from call_error
            await asyncio.sleep(pause_s)


def backoff_s(attempt: int) -> float:
    """Pause after the given attempt (from 1): doubling, bounded, with full jitter."""
    ceiling = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret
