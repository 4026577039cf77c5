from __future__ import annotations

import pytest

from bench.figures.sanity import KNOWN
from bench.lineup import PEER_NAMES
from bench.report import number
from bench.result import Row, quantile, row_of


@pytest.mark.parametrize(
    ("goal", "value", "holds"),
    [(">= 3", 3.0, True), (">= 3", 2.9, False), ("<= 10", 10.0, True), ("<= 10", 11.0, False)],
)
def test_a_goal_holds_on_its_side_of_the_mark(goal: str, value: float, holds: bool) -> None:
    assert Row("figure", value, "x", goal).holds is holds


def test_a_row_without_a_goal_neither_holds_nor_fails() -> None:
    assert Row("figure", 1.0, "x").holds is None


def test_a_row_of_rounds_is_their_median_and_keeps_them() -> None:
    row = row_of("figure", [3.0, 1.0, 2.0], "jobs/s")
    assert (row.value, row.as_json()["rounds"]) == (2.0, [3.0, 1.0, 2.0])


def test_quantile_of_few_values_is_one_of_them() -> None:
    assert [quantile([5, 1, 3], share) for share in (0.5, 0.99, 0.0)] == [3, 5, 1]


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (12345.6, 12.34, 0.01234)] == ["12,346", "12.3", "0.0123"]


def test_every_peer_has_a_known_rate() -> None:
    assert set(KNOWN) == set(PEER_NAMES)
