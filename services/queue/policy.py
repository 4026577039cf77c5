"""How patient the queue is: leases, polls, rests and retries. Seconds before scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """All time limits in one place. `time_scale` multiplies each of them.

    `callbacks_expected` is False where no public URL exists: results are then found by poll.
    """

    time_scale: float = 1.0
    # A worker renews its claims; who falls silent for this long is thought dead.
    lease_s: float = 30.0
    # How long a start call may take before its reply counts as lost.
    start_call_s: float = 30.0
    # How long a query may take; also how long no second query is made for its attempt.
    query_call_s: float = 15.0
    # Between polls while a callback is expected, and once a result is late (`poll_schedule.py`).
    poll_slow_s: float = 20.0
    poll_fast_s: float = 5.0
    # A task the provider does not know yet is no lost task (1004 right after the start).
    propagation_s: float = 60.0
    # A success without files is asked about once more before it is believed.
    recheck_s: float = 5.0
    # How long an unanswered provider is asked on after a deadline.
    unreachable_s: float = 24 * 3600.0
    callbacks_expected: bool = True
    # Automatic new attempts by failure class, where they differ from the verdict table.
    retry_overrides: Mapping[str, int] = field(default_factory=dict)

    @property
    def question_s(self) -> float:
        """How long nobody else asks about an attempt that somebody asks about; scaled."""
        return self.scaled(self.query_call_s * 2) + 5

    def scaled(self, seconds: float) -> float:
        """Return a number of seconds after scaling."""
        return seconds * self.time_scale
