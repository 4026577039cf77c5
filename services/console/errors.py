"""The console's own refusals, and what a person is told of any error, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from etapa_client.errors import TooManyActiveJobsError
from etapa_client.words import Language
from services.console.texts import REASONS
from services.runtime.error_table import answer_to
from services.runtime.ids import InvalidIdError


class ConsoleError(Exception):
    """A request that the console itself refuses."""

    status = 400
    reason = "BAD_FORM"

    def __init__(self, said: str = "", **facts: str) -> None:
        super().__init__(said or self.reason)
        self.said = said
        self.facts = facts


class BadFormError(ConsoleError):
    """The form is not as this page makes it."""


class BadFilterError(ConsoleError):
    """A filter names what there is not."""

    reason = "BAD_FILTER"


class BadFieldError(ConsoleError):
    """A field holds what it cannot hold."""

    reason = "BAD_PARAMETER"

    def __init__(self, name: str, given: str) -> None:
        super().__init__(f"{name}: {given[:60]!r} is not a number", field=name)


class MediaMissingError(ConsoleError):
    """A media input has neither a file nor an address."""

    reason = "MEDIA_MISSING"


class CsrfRefusedError(ConsoleError):
    """The request does not come from one of our pages."""

    status = 403
    reason = "CSRF_REFUSED"


class HostRefusedError(ConsoleError):
    """The request calls us by a name that is not ours, as DNS rebinding does."""

    status = 421
    reason = "HOST_REFUSED"


class UploadTooLargeError(ConsoleError):
    """The upload is larger than the console takes."""

    status = 413
    reason = "UPLOAD_TOO_LARGE"


class TooManyStreamsError(ConsoleError):
    """No further page can be watched."""

    status = 503
    reason = "TOO_MANY_STREAMS"


@dataclass(frozen=True, slots=True)
class Told:
    """What a person is told. `said` are the service's own words where `message` is ours."""

    status: int
    reason: str
    message: str
    said: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    active_job_ids: tuple[str, ...] = ()
    retry_after_s: float = 0.0
    expected: bool = True


def told_of(error: Exception, language: Language) -> Told:
    """Return what to tell; never the text of an error that nobody foresaw."""
    if isinstance(error, ConsoleError):
        return _worded(error.status, error.reason, error.said, error.facts, language)
    if isinstance(error, web.HTTPException):
        reason = error.reason.upper().replace(" ", "_").replace("-", "_")
        return _worded(error.status, reason, error.reason, {}, language)
    answer = answer_to(error)
    # An id comes to the console in an address only, and that address leads nowhere.
    status = 404 if answer.reason == InvalidIdError.reason else answer.http_status
    told = _worded(status, answer.reason, answer.message, answer.facts, language)
    active = error.active_job_ids if isinstance(error, TooManyActiveJobsError) else ()
    return Told(
        told.status,
        told.reason,
        told.message,
        told.said if answer.expected else "",
        told.facts,
        active,
        answer.retry_after_s,
        answer.expected,
    )


def _worded(
    status: int, reason: str, said: str, facts: Mapping[str, str], language: Language
) -> Told:
    known = REASONS.get(reason)
    if known is None:
        return Told(status, reason, said or reason, "", dict(facts))
    try:
        message = known.to(language, **facts)
    except (KeyError, IndexError, ValueError):
        message = said  # a newer server names its facts otherwise
    return Told(status, reason, message, said if said != message else "", dict(facts))
