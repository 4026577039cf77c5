"""What a caller asks for, free of the wire: who, which tool, and where the media comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.tools.domain import BadHeaderError, MediaMissingError, UnknownMediaError
from services.tools.tool import AnyTool

MAX_NAME_CHARS = 200
MAX_ID_CHARS = 128


@dataclass(frozen=True, slots=True)
class Source:
    """Where one media input comes from: uploaded under `file_name`, or fetched from `url`.

    A right source has one of the two.
    """

    name: str
    file_name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One wish to run a tool. Without a `request_id` it must not be repeated blindly."""

    request_id: str
    caller: str
    user_id: str
    tool: str
    input_json: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an uploaded file; `last` on its final one."""

    media: str
    data: bytes
    last: bool


def check_request(tool: AnyTool, request: RunRequest) -> None:
    """Refuse a request that can't become a job, before there is one. Raises `InvalidInputError`."""
    if not 0 < len(request.user_id) <= MAX_ID_CHARS:
        raise BadHeaderError(f"user_id must have 1 to {MAX_ID_CHARS} characters", "user_id")
    if len(request.request_id) > MAX_ID_CHARS:
        raise BadHeaderError(f"request_id may have {MAX_ID_CHARS} characters", "request_id")
    known = [media.name for media in tool.media]
    given = [source.name for source in request.sources]
    for name in given:
        if name not in known or given.count(name) > 1:
            raise UnknownMediaError(tool.name, name, known)
    for source in request.sources:
        if not source.url and source.file_name is None:
            raise BadHeaderError("give upload_file_name or url for each media", source.name)
    for media in tool.media:
        if media.required and media.name not in given:
            raise MediaMissingError(tool.name, media.name, media.kind)


def display_name(source: Source) -> str:
    """Return a file name fit for people: the last path segment, printable and short.

    >>> display_name(Source("image", url="https://example.com/fotos/gato.png?size=2"))
    'gato.png'
    """
    path = source.file_name or (source.url or "").split("?")[0].split("#")[0]
    last = re.split(r"[/\\]", path.strip())[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable[-MAX_NAME_CHARS:] or source.name
