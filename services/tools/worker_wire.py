"""What the service and a media worker say to each other: one JSON line a task, one an answer."""

from __future__ import annotations

import msgspec

from services.tools.tool import MediaInput

READY = b"ready\n"
"""The first line of a worker: it has started, so what ends it later is its file."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Read the file `source` and write what is sent on to `target`. Both are paths."""

    source: str
    target: str
    content_type: str
    rule: MediaInput


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The media can be used. `same` says that the source goes on as it is."""

    content_type: str
    width: int
    height: int
    duration_s: float = 0.0
    same: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The media cannot be used: the parts of a `BadMediaError`.

    `unexpected` says that a decoder raised what it should not; worth a look at our own code.
    """

    reason: str
    pt: str
    en: str
    facts: dict[str, str]
    unexpected: bool = False


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker could not do its work, through no fault of the media: a full disk, say."""

    why: str


Answer = Ready | Refused | Broken
