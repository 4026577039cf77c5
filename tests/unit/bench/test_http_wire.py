from __future__ import annotations

import json

import pytest

from bench import bodies
from bench.http_wire import BadMessageError, Cutter, post, response
from services.runninghub.callback import parse_callback
from services.runninghub.report import StartOutcome, TaskState
from services.runninghub.wire import parse_query, parse_start

TASK = "1900000000000000123"


def test_messages_are_cut_out_of_any_pieces() -> None:
    stream = post(b"h", b"/a", b"one") + post(b"h", b"/b", b"") + response(b"200 OK", b"{}")
    cutter = Cutter()
    found = [m for at in range(len(stream)) for m in cutter.feed(stream[at : at + 1])]
    assert [message.body for message in found] == [b"one", b"", b"{}"]
    assert found[1].first == b"POST /b HTTP/1.1"


def test_a_request_to_close_is_seen_whatever_its_case() -> None:
    (message,) = Cutter().feed(b"POST / HTTP/1.1\r\nConnection: Close\r\n\r\n")
    assert not message.keeps_alive


def test_chunked_bodies_are_refused() -> None:
    with pytest.raises(BadMessageError):
        Cutter().feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_the_stub_speaks_as_the_client_of_runninghub_expects() -> None:
    assert parse_start(bodies.accepted(TASK), 200).outcome is StartOutcome.ACCEPTED
    report = parse_query(bodies.succeeded(TASK), 200)
    assert (report.task_id, report.state) == (TASK, TaskState.SUCCEEDED)
    assert [(each.url, each.text) for each in report.outputs] == [("", "ok")]
    hint = parse_callback(bodies.callback(TASK))
    assert (hint.task_id, hint.task_status, hint.has_output) == (TASK, "SUCCESS", True)


@pytest.mark.parametrize("make", [bodies.accepted, bodies.succeeded, bodies.callback])
def test_bodies_are_whole_json_of_two_kilobytes(make: object) -> None:
    for task in range(1_900_000_000_000_000_000, 1_900_000_000_000_000_064):
        body = make(str(task))  # type: ignore[operator]
        assert bodies.BODY_BYTES <= len(body) < bodies.BODY_BYTES + 256
        assert str(task).encode() in body
        json.loads(body)
