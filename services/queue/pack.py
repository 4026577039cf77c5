"""Packs: all events of one change as one row of the outbox, in the bytes that are sent.

A pack is a serialised `RecordEventsRequest` with `events` alone. Such bytes concatenate, so the
relay joins packs without a look inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from etapa.observability.v1 import event_pb2, intake_pb2
from services.queue.domain import Change
from services.queue.events import encode, encode_stand_in
from services.runtime.log import get_log

_log = get_log(__name__)
# Bytes of a pack, unless one event alone has more; far below the contract's limit on a request.
MAX_PACK_BYTES = 1_000_000
MAX_PACK_EVENTS = 500
_TRACE_ID = slice(3, 35)


class Pack(NamedTuple):
    """Events of one job, numbered from `first_seq` on; a row of type queue.pack."""

    job_id: UUID
    first_seq: int
    events: int
    body: bytes


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that could not be told as it is: a defect of ours."""

    job_id: UUID
    seq: int
    kind: str
    body: str
    why: str


def pack_changes(changes: Sequence[Change]) -> tuple[list[Pack], list[RejectedEvent]]:
    """Encode all events of changes, a pack a change, and more than one where it has very much.

    A note takes the place of each event that can't be encoded, so that no number is missing.
    """
    packs: list[Pack] = []
    rejected: list[RejectedEvent] = []
    for change in changes:
        packs += _pack(change, rejected)
    return packs, rejected


def _pack(change: Change, rejected: list[RejectedEvent]) -> Iterator[Pack]:
    job = change.after
    job_id, trace_id = str(job.id), job.traceparent[_TRACE_ID]
    seq = job.seq
    parts: list[bytes] = []
    size = 0
    for seq, event in enumerate(change.events, start=job.seq - len(change.events) + 1):
        try:
            part = encode(event, job_id, seq, trace_id)
        except Exception as error:
            # Whatever is wrong with an event, it must not hold up the job that it tells of.
            _log.exception("event_unreadable", job_id=job_id, seq=seq)
            why = f"{type(error).__name__}: {error}"
            part = encode_stand_in(event, job_id, seq, trace_id, why)
            rejected.append(RejectedEvent(job.id, seq, event.kind, repr(event.body), why))
        if parts and (size + len(part) > MAX_PACK_BYTES or len(parts) == MAX_PACK_EVENTS):
            yield Pack(job.id, seq - len(parts), len(parts), b"".join(parts))
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield Pack(job.id, seq - len(parts) + 1, len(parts), b"".join(parts))


def read_pack(body: bytes) -> Sequence[event_pb2.Event]:
    """Return the events of a pack, or of several joined."""
    return intake_pb2.RecordEventsRequest.FromString(body).events


def write_pack(events: Sequence[event_pb2.Event]) -> bytes:
    """Return events as a pack's bytes."""
    return intake_pb2.RecordEventsRequest(events=events).SerializeToString()
