from __future__ import annotations

from services.console.changes import Flush
from services.console.frame import frame_of, told


def test_a_flush_becomes_events_of_which_the_last_has_the_place() -> None:
    assert told(Flush({"a": 2}, "p1", "live")) == (
        'event: state\ndata: {"state": "live"}\n\n'
        'id: p1\nevent: changed\ndata: {"jobs": {"a": 2}}\n\n'
    )
    assert told(Flush(event_id="p2", is_lost=True)) == "id: p2\nevent: refresh\ndata: {}\n\n"
    assert told(Flush(event_id="p3")) == ""


def test_a_frame_is_a_chunk_of_its_length_in_bytes() -> None:
    assert frame_of("data: ü\n\n") == (
        b"a\r\ndata: \xc3\xbc\n\n\r\n",
        b"data: \xc3\xbc\n\n",
    )
