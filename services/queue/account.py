"""What an account is to those who look at it and set it. Plain values; keys never in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.queue.domain import Health


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
