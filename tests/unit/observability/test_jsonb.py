from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.observability.jsonb import fits_jsonb, jsonb_text


def wrapped(data: bytes) -> object:
    return json.loads(jsonb_text(data))


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": [1, 2.5, null, true, "\\u00e9"]}',
        b'"e999"',
        b'{"sha256": "3e48291e99999f"}',
        b'{"seed": 9007199254740993}',
        b'"\\\\u0000 is no NUL"',
        b"1e-300",
        '{"chave": "ação 显存"}'.encode(),
    ],
)
def test_json_stays_as_it_is(data: bytes) -> None:
    assert jsonb_text(data) == data.decode()


@pytest.mark.parametrize(
    "data",
    [
        b"<html>502</html>",
        b"",
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800 alone"}',
        b'{"a": "\\udc00"}',
        b'{"a": 1e400}',
        b'{"a": 1e-99999}',
        b"[" + b"9" * 5000 + b"]",
        b"0." + b"0" * 20000 + b"1",
        b"[" * 20000 + b"]" * 20000,
        b"NaN",
        b'{"a": 1} trailing',
    ],
)
def test_what_jsonb_cannot_hold_becomes_a_text(data: bytes) -> None:
    assert wrapped(data) == {"_text": data.decode()}


@pytest.mark.parametrize("data", [b"\xff\xfe", b"nul \x00 inside", b"\xed\xa0\x80"])
def test_what_is_no_text_becomes_base64(data: bytes) -> None:
    assert wrapped(data) == {"_base64": base64.b64encode(data).decode()}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_the_result_is_always_json_without_nul(data: bytes) -> None:
    text = jsonb_text(data)
    json.loads(text)
    assert "\x00" not in text
    assert fits_jsonb(text.encode())
