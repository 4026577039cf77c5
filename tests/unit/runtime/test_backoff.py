"""Pauses grow with the failures, up to a bound, and no two processes keep step."""

from __future__ import annotations

import pytest

from services.runtime.backoff import backoff_s


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 5.0), (10_000, 5.0)]
)
def test_a_pause_doubles_up_to_its_bound(failures: int, ceiling: float) -> None:
    pauses = {backoff_s(failures, 0.5, 5.0) for _ in range(50)}
    assert ceiling / 2 <= min(pauses) <= max(pauses) <= ceiling
    assert len(pauses) > 1
