"""Page tokens lead on in their own list, and nowhere else."""

from __future__ import annotations

import pytest

from services.queue.domain import BadRequestError
from services.queue.page import NEWEST, BadPageTokenError, make_token, page_size, read_token
from services.queue.store_reads import JobFilter
from services.runtime.ids import new_id


def test_a_token_leads_on_below_its_last_entry() -> None:
    last = new_id()
    assert read_token(make_token(last, JobFilter("ana")), JobFilter("ana")) == last


def test_no_token_begins_with_the_newest() -> None:
    assert read_token("", JobFilter()) == NEWEST > new_id()


def test_a_token_of_other_filters_is_refused() -> None:
    token = make_token(new_id(), JobFilter("ana"))
    with pytest.raises(BadPageTokenError):
        read_token(token, JobFilter("bia"))


@pytest.mark.parametrize("token", ["x", "é", "====", "A" * 1000, "AAAA AAAA"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadPageTokenError):
        read_token(token, JobFilter())


@pytest.mark.parametrize("asked", [-1, 201])
def test_a_page_of_no_possible_size_is_refused(asked: int) -> None:
    with pytest.raises(BadRequestError):
        page_size(asked, 50, 200)


def test_a_page_of_unsaid_size_has_the_usual_one() -> None:
    assert (page_size(0, 50, 200), page_size(7, 50, 200)) == (50, 7)
