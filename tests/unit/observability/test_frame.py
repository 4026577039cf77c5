from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.observability.frame import Dictionary, UnknownDictionaryError, pack, unpack
from tests.support.bodies import BODIES, DICTIONARY

SAMPLES = Path(__file__).parents[2] / "data/runninghub"


@pytest.mark.parametrize("name", BODIES)
def test_a_body_comes_back_to_the_byte(name: str) -> None:
    frame = pack(BODIES[name], DICTIONARY)
    assert unpack(frame, {1: DICTIONARY.content}) == BODIES[name]


@given(st.lists(st.sampled_from([b"\x00", b"taskId", b'"status":"', b"\xff\xfe", b"ab" * 40])))
def test_any_bytes_come_back(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert unpack(pack(body, DICTIONARY), {1: DICTIONARY.content}) == body


@pytest.mark.parametrize("name", ["empty", "noise", "one byte"])
def test_what_compresses_badly_lies_plain(name: str) -> None:
    assert pack(BODIES[name], DICTIONARY) == b"\x00" + BODIES[name]


def test_a_frame_names_its_dictionary_and_needs_it() -> None:
    body = b'{"taskId":"1990000000000000001","status":"RUNNING","errorCode":""}'
    frame = pack(body, Dictionary(7, DICTIONARY.content))
    assert frame[0] == 7
    with pytest.raises(UnknownDictionaryError, match="7"):
        unpack(frame, {1: DICTIONARY.content})
    assert unpack(frame, {1: b"another", 7: DICTIONARY.content}) == body


def test_bodies_of_the_providers_forms_take_a_third_at_most() -> None:
    bodies = [
        json.dumps(json.loads(file.read_bytes()), separators=(",", ":")).encode()
        for file in SAMPLES.glob("*-v2-*.json")
    ]
    packed = sum(len(pack(body, DICTIONARY)) for body in bodies)
    assert packed <= sum(map(len, bodies)) / 3
