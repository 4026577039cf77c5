"""The kinds of error a service may raise. Each becomes one gRPC or HTTP status at the edge.

A service's `domain.py` derives small named errors from these; nothing below the edge knows
about status codes. `runtime.error_table` holds the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class EtapaError(Exception):
    """Base of all errors that a caller is meant to see.

    `reason` is the stable UPPER_SNAKE word of the ErrorInfo; `facts` its metadata, which
    repeats every dynamic value of the sentence. The sentence says what to do.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, str] = dict(facts or {})


class InvalidInputError(EtapaError):
    """The request itself is wrong; the same request never works. `field` names the culprit."""

    reason: ClassVar[str] = "INVALID_INPUT"

    def __init__(
        self, message: str, field: str = "", facts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, {**({"field": field} if field else {}), **(facts or {})})
        self.field = field


class MalformedRequestError(InvalidInputError):
    """The bytes of a request are no message of this call."""

    reason: ClassVar[str] = "MALFORMED_REQUEST"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"The bytes sent to {method} are no request of it. Make them by the protos of this "
            "version, or ask the server itself by reflection.",
            facts={"method": method},
        )


class NotFoundError(EtapaError):
    """The thing that the request names does not exist."""

    reason: ClassVar[str] = "NOT_FOUND"


class DuplicateError(EtapaError):
    """A thing of that identity exists already, with other content."""

    reason: ClassVar[str] = "ALREADY_EXISTS"


class ForbiddenTransitionError(EtapaError):
    """The thing's state does not allow this; reading it again may show why."""

    reason: ClassVar[str] = "FORBIDDEN_TRANSITION"


class LostRaceError(EtapaError):
    """Somebody else changed the thing first. Read it again and decide anew."""

    reason: ClassVar[str] = "LOST_RACE"


class QuotaError(EtapaError):
    """A limit of the caller or the user is reached."""

    reason: ClassVar[str] = "QUOTA"


class ExpiredError(EtapaError):
    """The wanted position of a stream or list is no longer kept. Start anew."""

    reason: ClassVar[str] = "EXPIRED"


class UnavailableError(EtapaError):
    """Something that this service needs is down. The same request may work soon."""

    reason: ClassVar[str] = "UNAVAILABLE"


class SettingsError(Exception):
    """The environment does not hold what a service needs to start. Lists every problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("cannot start: " + "; ".join(problems))
        self.problems = problems
