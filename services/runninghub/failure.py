"""What a class of failure is: its side, what a retry is worth, what it does to the account."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Whose side a failure is on."""

    USER = "user"
    CONFIGURATION = "configuration"
    ACCOUNT = "account"
    PROVIDER = "provider"
    US = "us"


class RetryWorth(StrEnum):
    """Whether a person gains by trying again. CHANGED: only as the advice says."""

    NO = "no"
    AS_IS = "as_is"
    CHANGED = "changed"


class AccountEffect(StrEnum):
    """What the failure means for the account that was used."""

    NONE = "none"
    FULL = "full"  # cool down, then one job probes
    UNAUTHORIZED = "unauthorized"  # out of rotation
    NO_MONEY = "no_money"  # out of rotation


class Stage(StrEnum):
    """What was being done when the failure showed; it settles `failed_at_step`."""

    MEDIA = "media"  # media from the user to our storage
    CREDITS = "credits"
    QUEUE = "queue"  # waiting for a slot
    UPLOAD = "upload"  # media from us to the provider's account
    START = "start"
    RUN = "run"  # accepted: query, callback, run deadline
    FINALISE = "finalise"  # verifying the result, saving outputs

    @property
    def step(self) -> str:
        """The step code where a failure of this stage lies (design.md §3)."""
        return _STEPS[self]


_STEPS = {
    Stage.MEDIA: "upload",
    Stage.CREDITS: "credits",
    Stage.QUEUE: "queued",
    Stage.UPLOAD: "starting",
    Stage.START: "starting",
    Stage.RUN: "running",
    Stage.FINALISE: "webhook_received",
}


@dataclass(frozen=True, slots=True)
class AutoRetry:
    """What the queue does unasked. `backoff_s` are seconds before each try, the last repeats.

    `max_retries` counts new attempts. Where the class does not count as an attempt, the same
    attempt goes on after the back-off, bounded by the phase's deadline alone.
    `instance_type` is the machine for the new attempt, None the tool's own.
    """

    max_retries: int = 0
    backoff_s: tuple[float, ...] = (30.0,)
    instance_type: str | None = None

    def delay_s(self, retries_done: int) -> float:
        """Return the seconds to wait before the next try."""
        return self.backoff_s[min(retries_done, len(self.backoff_s) - 1)]


@dataclass(frozen=True, slots=True)
class FailureClass:
    """One row of the verdict table. `stage` is the usual one, where nothing better is known."""

    name: str
    side: Side
    retry: RetryWorth
    stage: Stage
    auto: AutoRetry = AutoRetry()
    counts_as_attempt: bool = True
    account_effect: AccountEffect = AccountEffect.NONE


@dataclass(frozen=True, slots=True)
class UserText:
    """What a user reads, in one language: what happened, and what to do now."""

    message: str
    advice: str
