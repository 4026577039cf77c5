"""What an account is to those who look at it and set it. Plain values; keys never in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.queue.domain import Health

# Callback loss is measured over attempts that ended in this span of time.
LOSS_WINDOW = timedelta(hours=24)
# Nothing is called lost before: the provider's sample of a failed delivery shows three retries in
# about three minutes (docs/runninghub-api.md §2.10, §4.4).
LOSS_GRACE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CallbackLoss:
    """Attempts that a callback should have ended, and those that none has told: no delivery at all.

    A callback that comes later than any grace takes its attempt out of `without_callback` again:
    it was late, not lost. Cancelled attempts are in neither, since the provider is only known to
    call for success and failure.
    """

    ended_attempts: int = 0
    without_callback: int = 0


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with its load. `held` may exceed `slots` for a while after it shrank.

    `starting` counts starts under way: while an account recovers, one of them is its probe.
    """

    name: str
    base_url: str
    slots: int
    held: int
    starting: int
    paused: bool
    health: Health
    rests_until: datetime | None
    last_error: str
    health_changed_at: datetime
    loss: CallbackLoss = CallbackLoss()


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What is set of an account; None means "as it is"."""

    name: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    slots: int | None = None
    paused: bool | None = None
    reset_health: bool = False


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """What the database holds of an account's settings."""

    base_url: str
    api_key: str = field(repr=False)
    slots: int
    health: Health
