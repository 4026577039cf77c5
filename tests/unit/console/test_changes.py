from __future__ import annotations

from services.console.changes import MAX_JOBS, Changes, Flush


def test_repetitions_become_one_and_the_last_place_is_kept() -> None:
    changes = Changes()
    changes.put("a", 1, "1")
    changes.put("b", 5, "2")
    changes.put("a", 2, "3")
    flush = changes.take()
    assert (flush.jobs, flush.event_id) == ({"a": 2, "b": 5}, "3")
    assert changes.take().jobs == {}


def test_a_subscriber_that_does_not_read_costs_a_bounded_memory() -> None:
    changes = Changes()
    for number in range(10 * MAX_JOBS):
        changes.put(f"job-{number}", 1, str(number))
    jobs = changes.take().jobs
    assert len(jobs) == MAX_JOBS
    assert f"job-{10 * MAX_JOBS - 1}" in jobs


def test_a_state_is_told_once() -> None:
    changes = Changes()
    changes.say("away")
    changes.say("away")
    assert changes.take().state == "away"
    changes.say("away")
    assert changes.take().state == ""
    changes.say("live")
    assert changes.take().state == "live"


def test_names_that_were_dropped_are_told_as_lost() -> None:
    changes = Changes()
    for number in range(MAX_JOBS):
        changes.put(f"job-{number}", 1, str(number))
    assert not changes.take().is_lost
    for number in range(MAX_JOBS + 1):
        changes.put(f"job-{number}", 1, str(number))
    assert changes.take().is_lost
    assert not changes.take()


def test_what_others_were_told_is_owed_in_its_newest_form() -> None:
    changes = Changes()
    changes.add(Flush(state="away"))
    changes.add(Flush({"a": 1, "b": 1}, "1"))
    changes.add(Flush({"a": 2}, "2", "live"))
    assert changes.take() == Flush({"b": 1, "a": 2}, "2", "live")
    changes.add(Flush(event_id="3", is_lost=True))
    assert changes.take() == Flush({}, "3", is_lost=True)
