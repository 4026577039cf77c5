"""Turns calls to the provider into payloads that may be stored: masked, described, bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.queue.command import Payload
from services.runninghub.exchange import Exchange, Headers, Transport
from services.runtime.blobs import BlobStore
from services.runtime.ids import new_id
from services.runtime.redact import mask, redact_text

# Larger bodies go to the blob store.
INLINE_BYTES = 64 * 1024


class Recorder:
    """Masks and describes payloads; puts large bodies into the blob store."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def exchange(
        self,
        exchange: Exchange,
        attempt: int,
        secrets: Sequence[str],
        trace_id: str,
        *,
        exchange_id: UUID | None = None,
    ) -> list[Payload]:
        """Return request and response of a call, in order.

        With an `exchange_id` the request was recorded before and only the response is returned.
        A call without any reply still gives a response that tells how far it got.
        """
        shared = {"exchange_id": str(exchange_id or new_id()), "trace_id": trace_id}
        payloads = []
        if exchange_id is None:
            payloads.append(await self._request(exchange, attempt, secrets, shared))
        payloads.append(await self._response(exchange, attempt, secrets, shared))
        return payloads

    async def outgoing(
        self,
        call: str,
        method: str,
        url: str,
        headers: Headers,
        body: bytes,
        attempt: int,
        secrets: Sequence[str],
        trace_id: str,
        exchange_id: UUID,
    ) -> Payload:
        """Return the request of a call that is about to be sent."""
        info = {
            "kind": "request",
            "call": call,
            "exchange_id": str(exchange_id),
            "trace_id": trace_id,
            "attempt": attempt,
            "method": method,
            "url": redact_text(url, secrets),
            "headers": _headers(headers, secrets),
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        return await self._payload(info, body, secrets)

    async def _request(
        self, exchange: Exchange, attempt: int, secrets: Sequence[str], shared: Mapping[str, str]
    ) -> Payload:
        info: dict[str, Any] = {
            **shared,
            "kind": "request",
            "call": exchange.endpoint,
            "attempt": attempt,
            "method": exchange.method,
            "url": redact_text(exchange.url, secrets),
            "headers": _headers(exchange.request_headers, secrets),
            "occurred_at": exchange.started_at.isoformat(),
            "transport": exchange.transport.value,
        }
        media = exchange.media
        if media is None:
            return await self._payload(info, exchange.request_body, secrets)
        # The file itself lies in the blob store already; its digest says which it is.
        described = {"bytes": media.size_bytes, "sha256": media.sha256, "masked": []}
        info |= {"content_type": media.content_type, **described}
        return Payload(new_id(), info, blob_sha256=media.sha256)

    async def _response(
        self, exchange: Exchange, attempt: int, secrets: Sequence[str], shared: Mapping[str, str]
    ) -> Payload:
        received_at = exchange.started_at + timedelta(seconds=exchange.latency_s)
        info: dict[str, Any] = {
            **shared,
            "kind": "response",
            "call": exchange.endpoint,
            "attempt": attempt,
            "method": exchange.method,
            "url": redact_text(exchange.url, secrets),
            "http_status": exchange.response_status or 0,
            "headers": _headers(exchange.response_headers, secrets),
            "occurred_at": received_at.isoformat(),
            "latency_s": exchange.latency_s,
            "transport": exchange.transport.value,
            "transport_error": redact_text(exchange.error, secrets),
            "truncated": exchange.is_truncated,
        }
        if exchange.transport is not Transport.REPLIED and not exchange.response_body:
            info["bytes"] = 0
        return await self._payload(info, exchange.response_body, secrets)

    async def _payload(self, info: dict[str, Any], body: bytes, secrets: Sequence[str]) -> Payload:
        masked = mask(body, secrets)
        info |= {
            "bytes": len(body),
            "sha256": masked.sha256.hex(),
            "masked": [list(span) for span in masked.ranges],
        }
        info.setdefault("content_type", _content_type(info["headers"]))
        if len(body) <= INLINE_BYTES:
            return Payload(new_id(), info, content=masked.body)
        blob = await self._blobs.put(masked.body)
        return Payload(new_id(), info, blob_sha256=blob.sha256)


def answer_sha256(exchange: Exchange) -> bytes:
    """Return a digest by which two answers to the same question are found equal."""
    status = str(exchange.response_status or 0).encode()
    return hashlib.sha256(status + b"\n" + exchange.response_body).digest()


def _headers(headers: Headers, secrets: Sequence[str]) -> list[list[str]]:
    lines = [f"{name}: {value}" for name, value in headers]
    masked = redact_text("\r\n".join(lines), secrets).split("\r\n")  # one look for all of them
    if len(masked) != len(lines):  # what looked like a secret went over the end of a line
        masked = [redact_text(line, secrets) for line in lines]
    return [[name, line[len(name) + 2 :]] for (name, _), line in zip(headers, masked, strict=True)]


def _content_type(headers: Sequence[Sequence[str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "")
