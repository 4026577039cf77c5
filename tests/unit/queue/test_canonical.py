"""Requests are the same where their parameters mean the same, and only there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.queue.canonical import canonical_inputs, params_sha256
from services.queue.domain import BadRequestError

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1, 4]))
def test_order_space_and_escapes_make_no_difference(
    value: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    turned = dict(reversed(value.items()))
    texts = [json.dumps(value), json.dumps(turned, ensure_ascii=ascii_only, indent=indent)]
    assert len({canonical_inputs(text) for text in texts}) == 1


@given(OBJECTS, OBJECTS)
def test_different_values_differ(one: dict[str, object], other: dict[str, object]) -> None:
    # As JSON tells them apart: 1 and true, 1 and 1.0 are equal in Python.
    is_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    texts = [canonical_inputs(json.dumps(each)) for each in (one, other)]
    assert (texts[0] == texts[1]) is is_same


@given(OBJECTS)
def test_the_canonical_form_is_its_own(value: dict[str, object]) -> None:
    text = canonical_inputs(json.dumps(value))
    assert canonical_inputs(text) == text


def test_whole_numbers_keep_every_digit() -> None:
    assert canonical_inputs('{"n": 123456789012345678901234567890}') == (
        '{"n":123456789012345678901234567890}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        '{"a":1',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        '{"a":1,"a":1}',
        '{"a":{"b":1,"b":2}}',
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":' + "9" * 5000 + "}",
        '{"a":"\\ud800"}',
        '{"\\udc00\\ud800":1}',
    ],
)
def test_what_is_no_plain_object_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        canonical_inputs(text)
    assert refused.value.field == "input_json"


def test_every_part_of_the_request_counts() -> None:
    digests = {
        params_sha256("t", "v", "u", "{}"),
        params_sha256("tv", "", "u", "{}"),
        params_sha256("t", "vu", "", "{}"),
        params_sha256("t", "v", "u2", "{}"),
        params_sha256("t", "v", "u", '{"a":1}'),
    }
    assert len(digests) == 5
