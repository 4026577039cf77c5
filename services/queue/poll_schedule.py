"""When the provider is asked next about a task that goes on. A passed deadline asks by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.queue.draft import Draft

# The usual time is a mean, which many healthy runs outlast; a run this much longer counts as late.
_LATE_FROM = 1.25
# A late run is asked about after each such part of the time by which it is late.
_OVERTIME_PART = 0.1


def next_ask(draft: Draft, *, is_odd: bool = False) -> datetime:
    """Return when to ask next: slowly while a callback may be trusted to come, faster when late.

    Late: the run outlasts its tool's usual time. The waits then grow again from fast to slow, so
    that a run which merely takes long is no burden. `is_odd`: the last answer made no sense.
    """
    policy = draft.policy
    fast_s, slow_s = policy.scaled(policy.poll_fast_s), policy.scaled(policy.poll_slow_s)
    if is_odd or draft.attempt.stop_for or not policy.callbacks_expected:
        return draft.now + timedelta(seconds=fast_s)
    late_s = _late_s(draft)
    if late_s is None:
        wait_s = slow_s
    elif late_s < 0:
        wait_s = -late_s
    else:
        wait_s = late_s * _OVERTIME_PART
    return draft.now + timedelta(seconds=min(max(wait_s, fast_s), slow_s))


def _late_s(draft: Draft) -> float | None:
    """Return by how much the run is late, negative before; None where no run was seen yet."""
    usual_s, accepted_at = draft.job.typical_run_s, draft.attempt.accepted_at
    if usual_s is None or accepted_at is None:
        return None
    # Measured, not configured: no scaling.
    return (draft.now - accepted_at).total_seconds() - usual_s * _LATE_FROM
