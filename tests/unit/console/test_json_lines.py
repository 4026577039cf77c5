from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from services.console.json_lines import Line, lines_of, marked
from tests.support.console_jobs import CALLBACK

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def text_of(lines: list[Line] | None) -> str:
    return "\n".join("".join(token.text for token in line.tokens) for line in lines or [])


@given(JSON)
def test_what_is_written_reads_back_as_what_came(value: object) -> None:
    text = json.dumps(value)
    assert json.loads(text_of(lines_of(text))) == json.loads(text)


def test_large_numbers_and_repeated_keys_stay_as_they_came() -> None:
    shown = text_of(lines_of('{"a": 9007199254740993, "a": 1.10, "b": 1e400}'))
    assert "9007199254740993" in shown
    assert "1.10" in shown
    assert "1e400" in shown
    assert shown.count('"a"') == 2


def test_the_line_that_proves_it_is_found_by_its_path() -> None:
    lines = lines_of(CALLBACK.decode()) or []
    at = marked(lines, "$.eventData.failedReason.exception_type")
    assert "torch.OutOfMemoryError" in text_of([lines[at]])


def test_a_proof_inside_json_that_is_text_marks_that_text() -> None:
    lines = lines_of('{"event": "x", "eventData": "{\\"status\\": 1}"}') or []
    assert "eventData" in text_of([lines[marked(lines, "$.eventData.status")]])


def test_no_path_marks_nothing() -> None:
    lines = lines_of('{"a": 1}') or []
    assert marked(lines, "") == -1
    assert marked(lines, "$.zzz") == -1


def test_what_is_no_json_or_too_deep_or_too_long_is_left_raw() -> None:
    assert lines_of("<html>") is None
    assert lines_of("[" * 100_000) is None
    assert lines_of(json.dumps(list(range(6000)))) is None
