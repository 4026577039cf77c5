from __future__ import annotations

from services.console.changes import MAX_JOBS
from services.console.recall import MAX_PLACES, Recall


def recall_from(place: str) -> Recall:
    recall = Recall()
    recall.begin(place)
    return recall


def test_a_place_is_told_what_came_after_it() -> None:
    recall = recall_from("p0")
    recall.note({"a": 1, "b": 1}, "p1")
    recall.note({"a": 2}, "p2")
    assert recall.since("p0") == {"b": 1, "a": 2}
    assert recall.since("p1") == {"a": 2}
    assert recall.since("p2") == {}


def test_an_unknown_place_is_said_to_be_unknown() -> None:
    recall = recall_from("p0")
    recall.note({"a": 1}, "p1")
    assert recall.since("elsewhere") is None
    recall.begin("")
    assert recall.since("p1") is None


def test_of_messages_that_share_a_place_the_first_counts() -> None:
    """Long lists are cut into messages of which only the last has a new cursor."""
    recall = recall_from("p0")
    recall.note({"a": 1}, "p1")
    recall.note({"b": 1}, "p1")
    assert recall.since("p1") == {"b": 1}


def test_a_place_is_unknown_once_what_came_after_it_is_forgotten() -> None:
    recall = recall_from("p0")
    recall.note({"old": 1}, "p1")
    recall.note({"next": 1}, "p2")
    recall.note({f"job-{number}": 1 for number in range(MAX_JOBS - 1)}, "p3")
    assert recall.since("p0") is None
    after_the_first = recall.since("p1")
    assert after_the_first is not None
    assert len(after_the_first) == len(recall.latest()) == MAX_JOBS
    assert "next" in after_the_first


def test_many_messages_cost_a_bounded_memory() -> None:
    recall = recall_from("p0")
    for number in range(MAX_PLACES + 10):
        recall.note({"a": number}, f"q{number}")
    assert recall.since("p0") is None
    assert recall.since("q9") is None
    assert recall.since("q10") == {"a": MAX_PLACES + 9}
    assert recall.latest() == {"a": MAX_PLACES + 9}


def test_what_was_read_beside_the_messages_is_after_no_place() -> None:
    recall = recall_from("p0")
    recall.note({"a": 2}, "p1")
    recall.know({"a": 1, "b": 5})
    assert recall.latest() == {"a": 2, "b": 5}
    assert recall.since("p0") == {"a": 2}
