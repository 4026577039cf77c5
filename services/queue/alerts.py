"""Tells operators, by a log line at error level, what no job can heal: a closed account.

The line is what an alert rule looks for; the note on the job tells its reader the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.queue.domain import Change, Health
from services.runtime.log import get_log

_log = get_log(__name__)
_CLOSED = (Health.UNAUTHORIZED, Health.NO_MONEY)


def alert(changes: Sequence[Change]) -> None:
    """Log the accounts that these commits took out of the rotation. A listener of `Transitions`.

    Starts that were under way on such an account may each tell it once more.
    """
    for change in changes:
        effect = change.account_effect
        if effect is not None and effect.health in _CLOSED:
            _log.error(
                "account_left_rotation",
                account=effect.account,
                health=effect.health.value,
                words=effect.words,
                job_id=str(change.after.id),
            )
