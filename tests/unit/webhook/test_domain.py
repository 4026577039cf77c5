"""Tokens are hidden, headers come back as they went, refused deliveries rest ever longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.domain import (
    LONGEST_PAUSE_S,
    hide_token,
    join_headers,
    pause_s,
    split_headers,
)

NAMES = st.from_regex(rb"[A-Za-z0-9-]{1,20}", fullmatch=True)
VALUES = st.binary(max_size=60).filter(lambda value: not {10, 13} & set(value))


@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        ("/runninghub/abc", "/runninghub/***"),
        ("/runninghub/video/abc", "/runninghub/video/***"),
        ("/runninghub/abc?x=1/2&y=?", "/runninghub/***?x=1/2&y=?"),
        ("http://host/runninghub/abc", "http://host/runninghub/***"),
    ],
)
def test_only_the_token_is_replaced_by_stars(target: str, hidden: str) -> None:
    assert hide_token(target) == hidden


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_headers_come_back_in_order_with_their_bytes(headers: list[tuple[bytes, bytes]]) -> None:
    assert split_headers(join_headers(tuple(headers))) == headers


def test_a_refused_delivery_rests_ever_longer_up_to_a_bound() -> None:
    pauses = [pause_s(refusals) for refusals in range(1, 40)]

    assert pauses[:3] == [1, 2, 4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
