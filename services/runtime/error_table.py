"""The one table from errors to what a caller sees, for the gRPC edge and its HTTP twin alike."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg
import grpc

from etapa_client.errors import EtapaError as RemoteError
from services.runtime.db import AWAY_ERRORS
from services.runtime.errors import (
    DuplicateError,
    EtapaError,
    ExpiredError,
    ForbiddenTransitionError,
    InvalidInputError,
    LostRaceError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from services.runtime.redact import redact_text

DOMAIN = "etapa"
RETRY_AFTER_S = 0.5
INTERNAL_TEXT = "Something went wrong inside Etapa. Report the trace id to its operators."
DATABASE_TEXT = "Etapa's database does not answer at the moment. Try again in a few seconds."
BAD_TEXT_TEXT = "A text holds a character that can't be stored, such as NUL. Send it without."
TIMED_OUT_TEXT = "Something that Etapa needs for this did not answer in time. Try again."

KINDS: Mapping[type[EtapaError], grpc.StatusCode] = {
    InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    DuplicateError: grpc.StatusCode.ALREADY_EXISTS,
    ForbiddenTransitionError: grpc.StatusCode.FAILED_PRECONDITION,
    LostRaceError: grpc.StatusCode.ABORTED,
    QuotaError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ExpiredError: grpc.StatusCode.OUT_OF_RANGE,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}
HTTP_STATUSES: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 410,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
# No text of our own holds such a character, so it came with the request.
_BAD_TEXT_ERRORS = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_NO_SOCKET = (errno.ENOENT, os.strerror(errno.ENOENT))
_UNREACHABLE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller is told. `expected` is False where the operators must be told more."""

    code: grpc.StatusCode
    reason: str
    message: str
    facts: Mapping[str, str] = field(default_factory=dict)
    input_field: str = ""
    retry_after_s: float = 0.0
    expected: bool = True

    @property
    def http_status(self) -> int:
        """The HTTP status of the same meaning."""
        return HTTP_STATUSES.get(self.code, 500)


def answer_to(error: Exception) -> Answer:
    """Decide what a caller learns of an error: never the text of one that we do not know."""
    if isinstance(error, ExceptionGroup):
        return _of_group(error)
    if isinstance(error, EtapaError):
        return _of_kind(error)
    if isinstance(error, RemoteError):
        return _of_remote(error)
    if isinstance(error, TimeoutError):
        return Answer(
            grpc.StatusCode.UNAVAILABLE, "TIMED_OUT", TIMED_OUT_TEXT, retry_after_s=RETRY_AFTER_S
        )
    if is_database_gone(error):
        return Answer(
            grpc.StatusCode.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
            DATABASE_TEXT,
            retry_after_s=RETRY_AFTER_S,
        )
    if isinstance(error, _BAD_TEXT_ERRORS):
        return Answer(grpc.StatusCode.INVALID_ARGUMENT, "TEXT_NOT_STORABLE", BAD_TEXT_TEXT)
    return Answer(grpc.StatusCode.INTERNAL, "INTERNAL", INTERNAL_TEXT, expected=False)


def is_database_gone(error: BaseException) -> bool:
    """Tell whether the error means that a connection could not be made or broke."""
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg uses this class for misuse as well; only its texts tell a lost connection.
        return "clos" in str(error)
    if isinstance(error, OSError):
        # A full disk or a missing file is an OSError too, and is nobody's lost connection.
        # (A Unix socket whose server has ended is missing too, but without a file's name.)
        lost = isinstance(error, ConnectionError | socket.gaierror)
        no_socket = error.args == _NO_SOCKET and error.filename is None
        return lost or no_socket or error.errno in _UNREACHABLE
    return isinstance(error, AWAY_ERRORS)


def _of_group(group: ExceptionGroup[Exception]) -> Answer:
    # Tasks of a TaskGroup fail in a group; an error that nobody foresaw weighs the most.
    answers = [answer_to(error) for error in group.exceptions]
    return min(answers, key=lambda answer: answer.expected)


def _of_kind(error: EtapaError) -> Answer:
    code = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if code is None:
        return Answer(grpc.StatusCode.INTERNAL, "INTERNAL", INTERNAL_TEXT, expected=False)
    return Answer(
        code,
        error.reason,
        redact_text(error.message),
        {name: redact_text(str(value)) for name, value in error.facts.items()},
        input_field=error.field if isinstance(error, InvalidInputError) else "",
        retry_after_s=RETRY_AFTER_S if isinstance(error, UnavailableError) else 0.0,
    )


def _of_remote(error: RemoteError) -> Answer:
    # Another service of ours answered; its caller's caller should read the same answer.
    code = grpc.StatusCode.UNAVAILABLE if error.code is None else error.code
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        return Answer(grpc.StatusCode.INTERNAL, "INTERNAL", INTERNAL_TEXT, expected=False)
    return Answer(
        code,
        error.reason,
        redact_text(error.message),
        dict(error.facts),
        input_field=error.facts.get("field", "") if code.name == "INVALID_ARGUMENT" else "",
        retry_after_s=RETRY_AFTER_S if code is grpc.StatusCode.UNAVAILABLE else 0.0,
    )
