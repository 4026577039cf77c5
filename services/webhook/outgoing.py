"""Deliveries as the peers want them: masked bytes for observability, hints for the queue."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import queue_pb2
from services.runninghub.callback import parse_callback
from services.runtime.blobs import BlobStore
from services.runtime.redact import mask, redact_bytes
from services.runtime.text import without_nul
from services.runtime.tracing import trace_id_of
from services.webhook.domain import Delivery, split_headers
from services.webhook.offer import Send

Message = TypeVar("Message")
Report = Callable[[Sequence[queue_pb2.Callback]], Awaitable[object]]
Record = Callable[[Sequence[intake_pb2.Delivery]], Awaitable[object]]

# A larger body goes to the blob store (intake.proto, Delivery).
INLINE_BYTES = 64 * 1024
# Words from outside are bounded before they become fields of ours.
WORD_CHARS = 256
# Deliveries turned into messages before callers get their turn: so small that a rush of
# callbacks is answered first and forwarded after.
_SLICE = 8
# Headers that carry nothing but a secret, whatever its form.
_SECRET_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"x-api-key"})


def callback_sender(report: Report) -> Send:
    """Return the sender of hints to the queue."""

    async def send(deliveries: Sequence[Delivery]) -> None:
        await report(await _in_slices(deliveries, callback_to_proto))

    return send


def bytes_sender(record: Record, blobs: BlobStore) -> Send:
    """Return the sender of bytes to observability."""

    async def send(deliveries: Sequence[Delivery]) -> None:
        messages = await _in_slices(deliveries, delivery_to_proto)
        for message in messages:
            if len(message.body) > INLINE_BYTES:
                blob = await blobs.put(message.body)
                message.blob_sha256 = blob.sha256
        await record(messages)

    return send


def callback_to_proto(delivery: Delivery) -> queue_pb2.Callback:
    """Say what a delivery claims; the queue asks the provider before it believes any of it."""
    hint = parse_callback(delivery.body)
    return queue_pb2.Callback(
        delivery_id=str(delivery.delivery_id),
        token_hash=delivery.token_hash,
        received_at=_timestamp(delivery),
        event=hint.event[:WORD_CHARS],
        task_id=hint.task_id[:WORD_CHARS],
        task_status=hint.task_status[:WORD_CHARS],
        has_output=hint.has_output,
        body_sha256=hashlib.sha256(delivery.body).digest(),
        traceparent=delivery.traceparent,
    )


def delivery_to_proto(delivery: Delivery) -> intake_pb2.Delivery:
    """Describe a delivery and mask its secrets; the body is inline, whatever its size.

    Of an oversized body the digest is that of the part that was kept.
    """
    masked = mask(delivery.body)
    headers = split_headers(delivery.headers)
    # Of most callbacks no header holds a secret: one look for all of them.
    is_clean = redact_bytes(delivery.headers) == delivery.headers
    info = event_pb2.PayloadInfo(
        payload_id=str(delivery.delivery_id),
        kind=event_pb2.PAYLOAD_KIND_CALLBACK,
        call="callback",
        exchange_id=str(delivery.delivery_id),
        method="POST",
        url=_masked_text(delivery.target),
        headers=_headers(headers, is_clean),
        occurred_at=_timestamp(delivery),
        transport="too_large" if delivery.is_too_large else "received",
        bytes=delivery.body_bytes,
        sha256=masked.sha256,
        masked=[event_pb2.ByteRange(start=start, end=end) for start, end in masked.ranges],
        content_type=_content_type(headers),
        trace_id=trace_id_of(delivery.traceparent),
        truncated=delivery.is_too_large,
    )
    return intake_pb2.Delivery(info=info, body=masked.body)


async def _in_slices(
    deliveries: Sequence[Delivery], convert: Callable[[Delivery], Message]
) -> list[Message]:
    """Convert all; callers of the gateway are served in between."""
    messages: list[Message] = []
    for start in range(0, len(deliveries), _SLICE):
        messages += [convert(one) for one in deliveries[start : start + _SLICE]]
        await asyncio.sleep(0)
    return messages


def _headers(headers: Iterable[tuple[bytes, bytes]], is_clean: bool) -> list[event_pb2.Header]:
    read = _text if is_clean else _masked_text
    found = []
    for name, value in headers:
        is_secret = name.lower() in _SECRET_HEADERS
        text = "*" * len(value) if is_secret else read(value)
        found.append(event_pb2.Header(name=_text(name), value=text))
    return found


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> str:
    claimed = (value for name, value in headers if name.lower() == b"content-type")
    return _text(next(claimed, b""))[:WORD_CHARS]


def _masked_text(raw: bytes) -> str:
    # A shorter value can hold none of the forms that are masked.
    return _text(redact_bytes(raw) if len(raw) >= 8 else raw)


def _text(raw: bytes) -> str:
    return without_nul(raw.decode("utf-8", "replace"))


def _timestamp(delivery: Delivery) -> Timestamp:
    # `FromDatetime` costs four times as much.
    moment = delivery.received_at
    return Timestamp(seconds=int(moment.timestamp()), nanos=moment.microsecond * 1000)
