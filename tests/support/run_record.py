"""A run of many jobs that is over, as plain values: what Etapa says, and the provider's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.support.provider_log import ProviderLog


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt as the queue keeps it."""

    number: int
    account: str
    token_sha256: bytes
    task_id: str = ""
    claimed_at: datetime
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A callback as it can be read back: masked bytes, and what is known of the original."""

    body: bytes
    sha256: str
    size: int
    masked: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the ledger."""

    user_id: str
    job_id: str
    kind: str
    bucket: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """A recorded step."""

    name: str
    at: datetime
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that Etapa says of one job, the queue first.

    `shown` is status, class and failed step in its trail; `files` are digests of the outputs as
    they are served.
    """

    id: str
    user_id: str
    tool: str
    status: str
    error_class: str = ""
    failed_at_step: str = ""
    cost: int
    enqueue_seq: int
    seq: int
    through_seq: int
    shown: tuple[str, str, str]
    event_seqs: tuple[int, ...]
    steps: tuple[Step, ...]
    attempts: tuple[Attempt, ...]
    files: tuple[str, ...] = ()
    callbacks: tuple[Kept, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything about a run that is over."""

    jobs: Sequence[Job]
    ledger: Sequence[Entry]
    # (user, bucket) → (available, reserved)
    balances: Mapping[tuple[str, str], tuple[int, int]]
    log: ProviderLog
    # Slots by provider key, and over all of them.
    slots: Mapping[str, int]
    total: int
    # How long a run may take, by tool, in seconds as scaled.
    run_limits_s: Mapping[str, float]
