from __future__ import annotations

import pytest

from etapa_client.names import STATUSES
from services.cli.choice import ChoiceError, parse_span_s, pick


def test_a_word_is_found_in_any_case() -> None:
    assert pick(" Failed", STATUSES, "status") == STATUSES["failed"]


def test_an_unknown_word_is_answered_with_all_that_exist() -> None:
    with pytest.raises(ChoiceError, match=r"no status 'dead'; there are: .*completed, failed"):
        pick("dead", STATUSES, "status")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("7d", 604_800)])
def test_spans_are_read(text: str, seconds: float) -> None:
    assert parse_span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "2w"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ChoiceError):
        parse_span_s(text)
