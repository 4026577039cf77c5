"""What tools may refuse, as small named errors, and the words they share. No I/O.

Every refusal of a user's media carries its sentence in both languages: a person reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from services.runtime.errors import (
    DuplicateError,
    InvalidInputError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the two languages of the product."""

    pt: str
    en: str

    def as_json(self) -> dict[str, str]:
        """Return the text by language, as it stands in a tool's JSON Schema."""
        return {"pt": self.pt, "en": self.en}


class ToolNotFoundError(NotFoundError):
    """No tool of that name is in the catalogue."""

    reason: ClassVar[str] = "TOOL_NOT_FOUND"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"there is no tool {name!r}; the tools are: {', '.join(known)}", {"tool": name}
        )


class BadJsonError(InvalidInputError):
    """The inputs are not one JSON object."""

    reason: ClassVar[str] = "INPUT_NOT_JSON"

    def __init__(self, why: str) -> None:
        super().__init__(f"the inputs are not one JSON object: {why}", "input_json")


class UnknownParameterError(InvalidInputError):
    """The tool has no parameter of that name."""

    reason: ClassVar[str] = "UNKNOWN_PARAMETER"

    def __init__(self, tool: str, name: str, known: list[str]) -> None:
        has = f"it has: {', '.join(known)}" if known else "it takes none"
        super().__init__(
            f"{tool} has no parameter {name!r}; {has}", name, {"tool": tool, "allowed": has}
        )


class BadParameterError(InvalidInputError):
    """A parameter is missing, has the wrong type, or is none of its options."""

    reason: ClassVar[str] = "BAD_PARAMETER"

    def __init__(self, tool: str, name: str, allowed: str, got: str) -> None:
        super().__init__(
            f"{tool}: {name} must be {allowed}; {got}", name, {"tool": tool, "allowed": allowed}
        )


class OutOfRangeError(BadParameterError):
    """A parameter has the right type and lies outside its range."""

    reason: ClassVar[str] = "OUT_OF_RANGE"


class MediaMissingError(InvalidInputError):
    """A required image or video did not come with the request."""

    reason: ClassVar[str] = "MEDIA_MISSING"

    def __init__(self, tool: str, name: str, kind: str) -> None:
        super().__init__(
            f"{tool} needs the {kind} {name!r}; upload it or give its URL", name, {"tool": tool}
        )


class UnknownMediaError(InvalidInputError):
    """The tool takes no media of that name, or it came twice."""

    reason: ClassVar[str] = "UNKNOWN_MEDIA"

    def __init__(self, tool: str, name: str, known: list[str]) -> None:
        super().__init__(
            f"{tool} takes {', '.join(known)}, each once; got {name!r}", name, {"tool": tool}
        )


class RequestIdReusedError(DuplicateError):
    """The same request_id came before with other media."""

    reason: ClassVar[str] = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"request_id {request_id!r} was used before with other media; "
            "use a new request_id for a new request",
            {"request_id": request_id, "differs": "media"},
        )


class BadMediaError(InvalidInputError):
    """The media that a user gave cannot be used. The base of all such refusals.

    `failure_class` is the class of the verdict table that the failed job gets.
    """

    reason: ClassVar[str] = "BAD_MEDIA"
    failure_class: ClassVar[str] = "bad_media"

    def __init__(self, field: str, text: Text, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(text.en, field, {**(facts or {}), "message_pt": text.pt})
        self.text = text


class MediaEmptyError(BadMediaError):
    """No byte of content."""

    reason: ClassVar[str] = "MEDIA_EMPTY"


class MediaTooLargeError(BadMediaError):
    """More bytes than the tool takes."""

    reason: ClassVar[str] = "MEDIA_TOO_LARGE"
    failure_class: ClassVar[str] = "file_too_big"


class MediaKindError(BadMediaError):
    """The content is something else than the tool takes, whatever its name says."""

    reason: ClassVar[str] = "MEDIA_WRONG_KIND"


class MediaUnreadableError(BadMediaError):
    """The content begins like media of the right kind but cannot be decoded."""

    reason: ClassVar[str] = "MEDIA_UNREADABLE"


class MediaTruncatedError(BadMediaError):
    """The content ends too early."""

    reason: ClassVar[str] = "MEDIA_TRUNCATED"


class TooManyPixelsError(BadMediaError):
    """Larger in pixels than can be decoded, or than the tool takes."""

    reason: ClassVar[str] = "MEDIA_TOO_MANY_PIXELS"
    failure_class: ClassVar[str] = "file_too_big"


class VideoTooLongError(BadMediaError):
    """The video lasts longer than the tool takes."""

    reason: ClassVar[str] = "VIDEO_TOO_LONG"
    failure_class: ClassVar[str] = "file_too_big"


class MediaTooCostlyError(BadMediaError):
    """Reading the content took more time or memory than any honest file needs."""

    reason: ClassVar[str] = "MEDIA_TOO_COSTLY"


class UrlRefusedError(BadMediaError):
    """The URL is none that we fetch: its form, its scheme, or the address behind it."""

    reason: ClassVar[str] = "URL_REFUSED"
    failure_class: ClassVar[str] = "media_unreachable"


class UrlFailedError(BadMediaError):
    """The URL's server could not be reached, or answered something else than the media."""

    reason: ClassVar[str] = "URL_FAILED"
    failure_class: ClassVar[str] = "media_unreachable"


class UrlTimeoutError(BadMediaError):
    """The URL's server took too long."""

    reason: ClassVar[str] = "URL_TIMEOUT"
    failure_class: ClassVar[str] = "media_unreachable"


class UploadTimeoutError(BadMediaError):
    """The media took longer to arrive than the tool's limit."""

    reason: ClassVar[str] = "UPLOAD_TIMEOUT"
    failure_class: ClassVar[str] = "upload_timeout"


class UploadStalledError(UploadTimeoutError):
    """No byte of the upload came for too long."""

    reason: ClassVar[str] = "UPLOAD_STALLED"


class UploadOrderError(BadMediaError):
    """A piece of a file that the header does not announce, or that had ended."""

    reason: ClassVar[str] = "UPLOAD_OUT_OF_ORDER"


class UploadCutError(BadMediaError):
    """The upload stream ended, or the caller left, before all media was there."""

    reason: ClassVar[str] = "UPLOAD_CUT"
    failure_class: ClassVar[str] = "upload_truncated"


class BadHeaderError(InvalidInputError):
    """The first message of a run is no header, or the header is not complete."""

    reason: ClassVar[str] = "BAD_HEADER"


class UploadsFullError(QuotaError):
    """All seats for uploads are taken, and the line for them is full. No job was made."""

    reason: ClassVar[str] = "UPLOADS_FULL"

    def __init__(self, seats: int, line: int) -> None:
        super().__init__(
            f"{seats} uploads are under way and {line} wait for their turn; "
            "try again in a few seconds",
            {"seats": str(seats), "line": str(line)},
        )


class MediaBusyError(UnavailableError):
    """The media workers cannot be started; the same request may work soon."""

    reason: ClassVar[str] = "MEDIA_WORKERS_DOWN"


class QueueSlowError(UnavailableError):
    """The queue takes new jobs more slowly than they come. Nothing was made of this one."""

    reason: ClassVar[str] = "QUEUE_SLOW"

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting} new jobs wait for the queue to take them; try again in a few seconds",
            {"waiting": str(waiting)},
        )


class CatalogError(Exception):
    """The catalogue is wrong, so the service must not start. Lists every problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the tool catalogue is wrong: " + "; ".join(problems))
        self.problems = problems


def bad_media(reason: str, field: str, text: Text, facts: Mapping[str, str]) -> BadMediaError:
    """Rebuild the refusal of that reason, as it came back from a worker process."""
    kinds = {kind.reason: kind for kind in BadMediaError.__subclasses__()}
    return kinds.get(reason, BadMediaError)(field, text, facts)
