"""The sentences on why a job waits: one of each kind, in both languages, whole and true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.queue.account import AccountView
from services.queue.domain import Health, JobStatus
from services.queue.waiting import Reason, Wait, WaitFacts, explain

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
JOBS = [UUID(int=n) for n in range(1, 8)]
WAIT = Wait(JobStatus.QUEUED, "upscaler", False, None, 1, 0, 0, 0)
BUSY = AccountView("primary", "https://x", 2, 2, 0, False, Health.OK, None, "", NOW)
HELD = [(job_id, "primary") for job_id in JOBS[:2]]


def facts(wait: Wait = WAIT, *accounts: AccountView, limit: int = 0) -> WaitFacts:
    return WaitFacts(wait, accounts or (BUSY,), HELD, limit, NOW)


def test_the_first_in_line_behind_held_slots_reads_well() -> None:
    why = explain(facts())
    assert why.reason is Reason.NO_FREE_SLOT
    assert why.en == (f"The job is first in line, and 2 slots are taken (by {JOBS[0]}, {JOBS[1]}).")
    assert why.pt == (
        f"O job é o primeiro da fila, e 2 vagas estão ocupadas (por {JOBS[0]}, {JOBS[1]})."
    )


def test_more_holders_than_are_named_are_counted() -> None:
    busy = replace(BUSY, slots=5, held=5)
    why = explain(WaitFacts(WAIT, (busy,), [(j, "primary") for j in JOBS[:5]], 0, NOW))
    assert f"{JOBS[2]} and 2 more" in why.en
    assert f"{JOBS[2]} e mais 2" in why.pt


def test_one_is_not_many() -> None:
    why = explain(facts(replace(WAIT, ahead=1), replace(BUSY, slots=1, held=1)))
    assert why.en.startswith("1 job is ahead, and 1 slot is taken")
    assert why.pt.startswith("Há 1 job na frente, e 1 vaga está ocupada")


def test_beyond_the_exact_places_there_are_just_many() -> None:
    assert "1000+ jobs are ahead" in explain(facts(replace(WAIT, ahead=1001))).en


def test_free_slots_that_go_to_others_are_told() -> None:
    why = explain(facts(replace(WAIT, ahead=3, open_slots=2)))
    assert (why.reason, why.en) == (
        Reason.JOBS_AHEAD,
        "3 jobs are ahead, and 2 free slots go to them.",
    )


def test_an_account_that_could_not_help_is_told_beside_the_busy_one() -> None:
    refused = replace(BUSY, name="second", health=Health.UNAUTHORIZED, held=0)
    why = explain(facts(WAIT, BUSY, refused))
    assert why.reason is Reason.NO_FREE_SLOT
    assert "(the key of second was refused (set a valid key))" in why.en


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (replace(BUSY, paused=True), "primary is paused (resume it)"),
        (replace(BUSY, health=Health.UNAUTHORIZED), "set a valid key"),
        (replace(BUSY, health=Health.NO_MONEY), "top it up, then reset its health"),
        (replace(BUSY, slots=0), "primary has no slots (set some)"),
        (
            replace(BUSY, health=Health.FULL, rests_until=NOW + timedelta(seconds=5)),
            "is full at the provider and is tried again at 12:00:05 UTC",
        ),
        (
            replace(BUSY, health=Health.UNREACHABLE, rests_until=NOW + timedelta(days=1)),
            "can't be reached and is tried again at 2026-11-25 12:00:00 UTC",
        ),
        (
            replace(BUSY, health=Health.FULL, rests_until=NOW),
            "is full at the provider and one job is probing it",
        ),
    ],
)
def test_an_obstacle_says_what_to_do(account: AccountView, said: str) -> None:
    why = explain(facts(WAIT, account))
    assert why.reason is Reason.ACCOUNTS_UNAVAILABLE
    assert said in why.en
    assert why.pt.startswith("Nenhuma conta pode receber jobs: ")


def test_without_any_account_the_operator_is_asked_for_one() -> None:
    why = explain(WaitFacts(WAIT, (), (), 0, NOW))
    assert why.reason is Reason.ACCOUNTS_UNAVAILABLE
    assert "add one" in why.en


def test_the_global_limit_is_named() -> None:
    why = explain(facts(replace(WAIT, open_without_limit=1), limit=2))
    assert why.reason is Reason.GLOBAL_LIMIT
    assert "global limit of 2 jobs" in why.en


def test_a_pause_outweighs_everything_else() -> None:
    paused = replace(WAIT, tool_paused=True, not_before=NOW + timedelta(seconds=9), open_slots=3)
    assert explain(facts(paused)).reason is Reason.TOOL_PAUSED


def test_a_back_off_that_is_over_holds_nothing_back() -> None:
    ready = replace(WAIT, not_before=NOW, open_slots=1)
    assert explain(facts(ready)).reason is Reason.NEXT_IN_LINE
