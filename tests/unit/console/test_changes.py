from __future__ import annotations

from services.console.changes import MAX_JOBS, Changes


async def test_repetitions_become_one_and_the_last_place_is_kept() -> None:
    changes = Changes()
    changes.put("a", 1, "1")
    changes.put("b", 5, "2")
    changes.put("a", 2, "3")
    await changes.wait()
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
