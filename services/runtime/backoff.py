"""How long a loop pauses after failures in a row."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 20


def backoff_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return the pause after so many failures in a row, 1 or more; jittered down to a half.

    The ceiling is `first_s` after the first failure and doubles with each, up to `longest_s`.
    """
    ceiling: float = min(first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest_s)
    return ceiling * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
