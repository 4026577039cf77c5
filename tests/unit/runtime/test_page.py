"""Page tokens lead on in their own list, and nowhere else."""

from __future__ import annotations

import pytest

from services.runtime.errors import InvalidInputError
from services.runtime.ids import new_id
from services.runtime.page import NEWEST, BadPageTokenError, make_token, page_size, read_token


def test_a_token_leads_on_below_its_last_entry() -> None:
    last = new_id()
    assert read_token(make_token(last, ("ana", "")), ("ana", "")) == last


def test_no_token_begins_with_the_newest() -> None:
    assert read_token("", ("", "")) == NEWEST > new_id()


def test_a_token_of_other_filters_is_refused() -> None:
    token = make_token(new_id(), ("ana", ""))
    with pytest.raises(BadPageTokenError):
        read_token(token, ("bia", ""))


@pytest.mark.parametrize("token", ["x", "é", "====", "A" * 1000, "AAAA AAAA"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadPageTokenError):
        read_token(token, ("", ""))


@pytest.mark.parametrize("asked", [-1, 201])
def test_a_page_of_no_possible_size_is_refused(asked: int) -> None:
    with pytest.raises(InvalidInputError):
        page_size(asked, 50, 200)


def test_a_page_of_unsaid_size_has_the_usual_one() -> None:
    assert (page_size(0, 50, 200), page_size(7, 50, 200)) == (50, 7)
