"""Chapters: consecutive events of a job as one row, which is how the history is kept.

A chapter's body is a `RecordEventsRequest` of the protos. Messages with one repeated field
concatenate, so events are packed one by one as they come in and joined when they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from etapa.observability.v1 import event_pb2, intake_pb2
from services.observability.domain import Event, Kind, NoteChange, Status, StepChange
from services.observability.store.row import Chapter, NewChapter
from services.observability.wire import KIND_OF, UnreadableError, status_from, time_of

LETTERS: Final = {kind: kind.value[0] for kind in Kind}
_TOLD: Final = {Kind.STEP, Kind.NOTE}
# So that a page of events is never much more than was asked for.
MAX_EVENTS: Final = 500
# The tag of RecordEventsRequest.events: field 2, of a length that follows.
_TAG: Final = 0x12


@dataclass(slots=True, eq=False)
class StoredEvent:
    """An event as read: its message is as it was packed, without job, trace and payload body.

    `trace_id` is 32 hex digits or empty. Equal to itself only, so that what is made of one for a
    thousand watchers is made once.
    """

    job_id: UUID
    seq: int
    kind: Kind
    message: event_pb2.Event
    trace_id: str

    @property
    def occurred_at(self) -> datetime:
        """When it happened at the queue."""
        return time_of(self.message.occurred_at)


def pack(message: event_pb2.Event) -> bytes:
    """Return an event as a part of a chapter's body. Job and trace are taken off the message."""
    message.ClearField("job_id")
    message.ClearField("trace_id")
    packed = message.SerializeToString()
    return _head(len(packed)) + packed


@lru_cache(maxsize=4096)
def _head(size: int) -> bytes:
    """Return what stands before a message of `size` bytes: the tag and the size as a varint."""
    head = [_TAG]
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size])


def chapters_of(events: Sequence[Event]) -> Iterator[NewChapter]:
    """Divide events, in order of (job_id, seq), into chapters."""
    begin, previous = 0, events[0]
    for place, event in enumerate(events):
        if place and (
            event.seq != previous.seq + 1
            or event.job_id != previous.job_id
            or event.trace_id != previous.trace_id
            or place - begin == MAX_EVENTS
        ):
            yield _chapter(events[begin:place])
            begin = place
        previous = event
    yield _chapter(events[begin:])


def events_of(chapters: Iterable[Chapter]) -> Iterator[StoredEvent]:
    """Unpack chapters."""
    for chapter in chapters:
        job_id, trace_id = chapter.job_id, (chapter.trace_id or b"").hex()
        for message in intake_pb2.RecordEventsRequest.FromString(chapter.body).events:
            yield StoredEvent(job_id, message.seq, _kind_of(message), message, trace_id)


def stored(event: Event) -> StoredEvent:
    """Return an event that has just been stored as it will be read."""
    row = Chapter(event.job_id, event.seq, event.seq, event.trace_id, event.packed)
    return next(events_of([row]))


def final_status(event: StoredEvent) -> Status | None:
    """Return the status that an event ended its job with; None where it did not."""
    if event.kind is not Kind.STEP:
        return None
    status = status_from(event.message.step.status)
    return status if status.is_final else None


def _kind_of(message: event_pb2.Event) -> Kind:
    field_name = message.WhichOneof("kind")
    if field_name is None:
        raise UnreadableError(f"event {message.seq} has a newer kind")
    return KIND_OF[field_name]


def _chapter(events: Sequence[Event]) -> NewChapter:
    first = events[0]
    entries = [_entry(event) for event in events if event.kind in _TOLD]
    steps = ",".join(filter(None, entries))
    return NewChapter(
        first.job_id,
        first.seq,
        events[-1].seq,
        first.trace_id,
        "".join([LETTERS[event.kind] for event in events]),
        f"[{steps}]" if steps else None,
        b"".join([event.packed for event in events]),
    )


def _entry(event: Event) -> str:
    """Return what SQL reads of a step, or of a note that completes one, as JSON."""
    change = event.change
    if isinstance(change, StepChange):
        place = f'"step":"{change.step.value}"'
    elif isinstance(change, NoteChange) and change.completes is not None:
        place = f'"completes":"{change.completes.value}"'
    else:
        return ""
    at = event.occurred_at.isoformat()
    return f'{{"seq":{event.seq},{place},"at":"{at}","details":{event.details or "null"}}}'
