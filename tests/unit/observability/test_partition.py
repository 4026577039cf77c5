from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from services.observability.partition import RANGES_AHEAD, missing_ranges
from services.observability.store.read import lowest_id

NOW = datetime(2026, 11, 24, 13, 45, tzinfo=UTC)


def test_the_first_ranges_cover_today_and_those_ahead_without_a_gap() -> None:
    made = missing_ranges([], NOW, 7)
    assert made[0].low == lowest_id(datetime(2026, 11, 24, tzinfo=UTC))
    assert made[-1].high > lowest_id(NOW + timedelta(days=7 * RANGES_AHEAD))
    assert all(left.high == right.low for left, right in pairwise(made))
    assert made[0].label == "20261124"


def test_nothing_is_made_twice_and_the_next_follows_the_last() -> None:
    made = missing_ranges([], NOW, 7)
    assert missing_ranges(made, NOW, 7) == []
    later = missing_ranges(made, NOW + timedelta(days=8), 7)
    assert [each.low for each in later] == [made[-1].high]


def test_another_width_goes_on_where_the_old_ranges_end() -> None:
    made = missing_ranges([], NOW, 7)
    wider = missing_ranges(made, NOW + timedelta(days=1), 30)
    assert wider[0].low == made[-1].high
    assert len({each.label for each in made + wider}) == len(made + wider)


def test_after_a_long_pause_ranges_begin_today_again() -> None:
    made = missing_ranges([], NOW, 1)
    later = NOW + timedelta(days=100)
    assert missing_ranges(made, later, 1)[0].low == lowest_id(later.replace(hour=0, minute=0))
