"""Offers a batch to a peer and tells what became of it: taken, refused, or the peer is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc

from etapa_client.errors import EtapaError as RemoteError
from services.runtime.errors import UnavailableError
from services.webhook.domain import Delivery

Send = Callable[[Sequence[Delivery]], Awaitable[None]]

# What these say is about the peer, not about what was sent to it.
_PEER_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(slots=True)
class Verdict:
    """What a peer made of a batch; what is in neither list was not tried."""

    acknowledged: list[Delivery] = field(default_factory=list)
    refused: list[tuple[Delivery, Exception]] = field(default_factory=list)
    away: Exception | None = None

    def raise_if_away(self) -> None:
        """Raise `UnavailableError` if that is why something was not tried."""
        if self.away is not None:
            raise UnavailableError(f"not forwarded: {self.away}") from self.away


async def offer(send: Send, deliveries: Sequence[Delivery]) -> Verdict:
    """Send a batch; halve what is refused until the culprits stand alone."""
    verdict = Verdict()
    parts = [deliveries]
    while parts:
        part = parts.pop()
        try:
            await send(part)
        except Exception as error:
            if _is_away(error):
                verdict.away = error
                break
            if len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
            else:
                verdict.refused.append((part[0], error))
        else:
            verdict.acknowledged += part
    return verdict


def _is_away(error: Exception) -> bool:
    if isinstance(error, RemoteError):
        return error.code in _PEER_AWAY
    # A full disk under the blob store is no fault of the delivery either.
    return isinstance(error, UnavailableError | OSError)
