from __future__ import annotations

from etapa.observability.v1 import event_pb2, trail_pb2
from services.console.payload import SHOWN_BYTES, chosen, payload_view, segments

Info = event_pb2.PayloadInfo
Range = event_pb2.ByteRange


def view_of(body: bytes, path: str = "") -> list[object]:
    view = payload_view(trail_pb2.GetPayloadResponse(info=Info(), body=body), path)
    return [bool(view.lines), view.is_binary, view.is_cut, view.proof]


def test_masked_ranges_are_cut_out_by_their_bytes() -> None:
    body = "é=****;ç".encode()
    found = segments(body, Info(masked=[Range(start=3, end=7)]))
    assert [(part.text, part.is_masked) for part in found] == [
        ("é=", False),
        ("****", True),
        (";ç", False),
    ]


def test_ranges_that_overlap_or_reach_beyond_lose_no_byte() -> None:
    info = Info(masked=[Range(start=1, end=4), Range(start=2, end=3), Range(start=5, end=99)])
    found = segments(b"abcdefg", info)
    assert "".join(part.text for part in found) == "abcdefg"
    assert [part.text for part in found if part.is_masked] == ["bcd", "fg"]


def test_json_is_formatted_and_the_proof_marked() -> None:
    assert view_of(b'{"a": 1, "b": 2}', "$.b") == [True, False, False, 2]


def test_text_that_is_no_json_is_shown_raw() -> None:
    assert view_of(b"<html>502</html>") == [False, False, False, -1]


def test_bytes_that_are_no_text_are_not_shown_as_text() -> None:
    assert view_of(b"\x89PNG\0\1") == [False, True, False, -1]
    assert view_of(b"\xff\xfe\xfa") == [False, True, False, -1]


def test_a_long_text_is_cut_even_within_a_character() -> None:
    body = b"a" * (SHOWN_BYTES - 1) + "é".encode() + b"b"
    assert view_of(body) == [False, False, True, -1]


def test_the_proof_is_shown_first_then_what_decided_then_the_last() -> None:
    decided, other = Info(payload_id="d", deciding=True), Info(payload_id="o")
    assert chosen([decided, other], "o") is other
    assert chosen([decided, other], "gone") is decided
    assert chosen([other, Info(payload_id="l")], "") == Info(payload_id="l")
    assert chosen([], "") is None
