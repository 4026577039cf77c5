"""When the provider is asked next: slowly within the usual time, faster when late, bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from services.queue.domain import Attempt, JobState, JobStatus, Phase, Step, TimeLimits
from services.queue.draft import Draft
from services.queue.policy import Policy
from services.queue.poll_schedule import next_ask
from services.runtime.ids import new_id

ACCEPTED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
POLICY = Policy(poll_slow_s=20, poll_fast_s=5)
USUAL_S = 100.0


def wait_s(
    age_s: float,
    *,
    usual_s: float | None = USUAL_S,
    policy: Policy = POLICY,
    stop_for: str = "",
    is_odd: bool = False,
) -> float:
    """Return how long after an answer at the run's age the next question comes."""
    attempt = Attempt(1, "primary", 1, Phase.ACCEPTED, bytes(32), ACCEPTED, "7")
    job = JobState(
        id=new_id(),
        tool="upscaler",
        variant="",
        user_id="ana",
        cost=1,
        traceparent="",
        limits=TimeLimits(60, 600, 60, 300, 60),
        created_at=ACCEPTED,
        status=JobStatus.RUNNING,
        current_step=Step.RUNNING,
        seq=1,
        attempt=1,
        typical_run_s=usual_s,
        current=structs.replace(attempt, accepted_at=ACCEPTED, stop_for=stop_for),
    )
    now = ACCEPTED + timedelta(seconds=age_s)
    return (next_ask(Draft(job, now, policy), is_odd=is_odd) - now).total_seconds()


@pytest.mark.parametrize("age_s", [0, 50, 100, 105])
def test_a_run_within_its_usual_time_is_asked_about_slowly(age_s: float) -> None:
    assert wait_s(age_s) == 20


def test_the_question_comes_when_the_run_becomes_late_not_a_slow_poll_after_it() -> None:
    assert wait_s(115) == 10
    assert wait_s(0, usual_s=8) == 10


@pytest.mark.parametrize("age_s", [124, 125, 140, 175])
def test_a_late_run_is_asked_about_fast(age_s: float) -> None:
    assert wait_s(age_s) == 5


def test_the_waits_of_a_late_run_grow_and_never_beyond_slow() -> None:
    ages = [125, 175, 225, 275, 325, 1000, 100_000]
    assert [wait_s(age) for age in ages] == [5, 5, 10, 15, 20, 20, 20]


def test_without_any_run_seen_yet_it_is_asked_slowly() -> None:
    assert wait_s(1000, usual_s=None) == 20


@pytest.mark.parametrize("usual_s", [None, USUAL_S, 0.0])
@pytest.mark.parametrize("age_s", [0, 99, 10_000])
def test_what_can_wait_for_no_callback_is_asked_fast(age_s: float, usual_s: float | None) -> None:
    deaf = replace(POLICY, callbacks_expected=False)
    assert wait_s(age_s, usual_s=usual_s, policy=deaf) == 5
    assert wait_s(age_s, usual_s=usual_s, stop_for="timeout") == 5
    assert wait_s(age_s, usual_s=usual_s, is_odd=True) == 5


def test_the_waits_scale_and_the_measured_time_does_not() -> None:
    quick = replace(POLICY, time_scale=0.1)
    assert wait_s(50, policy=quick) == 2
    assert wait_s(124, policy=quick) == 1
    assert wait_s(126, policy=quick) == 0.5
