"""Pauses between attempts that wait for something without an event of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

FIRST_S, LONGEST_S = 0.05, 1.0


def pauses() -> Iterator[float]:
    """Yield growing pauses in seconds, without end."""
    for attempt in count():
        yield min(FIRST_S * 2.0**attempt, LONGEST_S) if attempt < 10 else LONGEST_S
