"""The judge of whole runs: silent on a right run, and it names each thing that may go wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support import composed_run as compose
from tests.support.composed_run import accepted, attempt, ended, failed, job, kept, run, sent
from tests.support.judge import complaints
from tests.support.run_record import Job, Run, Step

RIGHT = [accepted("a"), ended("a"), sent("a")]
UNKNOWN = "upload insert credits queue_check queued starting failed"


def unknown(**more: Any) -> Job:
    silent = attempt("a", task_id="", accepted_at=None)
    facts = {"steps": UNKNOWN, "attempts": (silent,), "callbacks": ()}
    return failed("a", "submit_unknown", "starting", **(facts | more))


def ending(last: Step) -> Job:
    right = job("a")
    return replace(right, steps=(*right.steps[:-1], last))


RETRIED = compose.FAILED.replace("failed", "queued starting running webhook_received failed")
RIGHT_RUNS = {
    "completed": run([job("a")], RIGHT),
    "a repeated callback, kept twice": run(
        [job("a", callbacks=(kept("a"), kept("a")))], [*RIGHT, sent("a")]
    ),
    "a callback that arrived though its sender saw no answer": run(
        [job("a", callbacks=(kept("a"), kept("a")))], [*RIGHT, sent("a", delivered=False)]
    ),
    "failed as its task did": run(
        [failed("a", "gpu_oom")], [accepted("a"), ended("a", 1, "gpu_oom"), sent("a")]
    ),
    "succeeded without outputs": run(
        [failed("a", "no_output")],
        [accepted("a"), {**ended("a", 1, "no_output"), "status": "SUCCESS"}, sent("a")],
    ),
    "tried again as often as its class allows": run(
        [
            failed(
                "a",
                "timeout",
                steps=RETRIED,
                attempts=(attempt("a"), attempt("a", 2)),
                callbacks=(),
            )
        ],
        [accepted("a"), ended("a", 1, "timeout"), accepted("a", 2), ended("a", 2, "timeout")],
    ),
    "never heard of": run([unknown()], []),
    "accepted, never heard of": run([unknown()], [accepted("a"), ended("a")]),
    "heard of after its deadline": run(
        [unknown(callbacks=(kept("a"),))], [accepted("a"), ended("a"), sent("a", s=100)]
    ),
}
TWO_SUCCESSES = run(
    [job("a", attempts=(attempt("a"), attempt("a", 2)))],
    [accepted("a"), ended("a"), accepted("a", 2), ended("a", 2), sent("a")],
)
EARLIER = replace(job("b", enqueue_seq=2), attempts=(attempt("b", claimed_at=compose.at(0)),))
WRONG_RUNS = {
    "completed with other files": (run([job("a", files=("0" * 64,))], RIGHT), "its task made"),
    "completed though it failed": (
        run([job("a")], [accepted("a"), ended("a", 1, "gpu_oom"), sent("a")]),
        "failed with gpu_oom",
    ),
    "failed though it succeeded": (run([failed("a", "gpu_oom")], RIGHT), "its task made"),
    "failed with another class": (
        run([failed("a", "infra")], [accepted("a"), ended("a", 1, "gpu_oom"), sent("a")]),
        "failed with gpu_oom",
    ),
    "failed though its task is open": (
        run([failed("a", "gpu_oom", callbacks=())], [accepted("a")]),
        "its last task is open",
    ),
    "without a task": (run([job("a", callbacks=())], []), "no task of it was ever accepted"),
    "not tried again": (
        run([failed("a", "infra")], [accepted("a"), ended("a", 1, "infra"), sent("a")]),
        "was not tried again",
    ),
    "tried again without need": (TWO_SUCCESSES, "was started again after SUCCESS"),
    "paid twice": (TWO_SUCCESSES, "paid for 2 successes"),
    "accepted twice for a token": (
        run([job("a")], [*RIGHT, {**accepted("a"), "task_id": "other"}]),
        "was accepted 2 times",
    ),
    "a start of nobody": (run([job("a")], [*RIGHT, accepted("x")]), "belongs to no attempt"),
    "unknown though a reply was committed": (
        run([unknown(attempts=(attempt("a"),))], [accepted("a")]),
        "has a committed reply",
    ),
    "unknown though nothing was sent": (
        run([unknown(attempts=(attempt("a", accepted_at=None, submitted_at=None),))], []),
        "or none began",
    ),
    "unknown though a callback came": (
        run([unknown(callbacks=(kept("a"),))], [accepted("a"), ended("a"), sent("a")]),
        "a callback came before its deadline",
    ),
    "too many at once": (
        run(
            [job(name, enqueue_seq=n) for n, name in enumerate("abc")],
            [*(accepted(name) for name in "abc"), *(ended(name) for name in "abc")],
        ),
        "3 tasks were open at once",
    ),
    "too many over all": (
        run([job("a")], [*RIGHT[:1], accepted("b", key="key-2"), *RIGHT[1:]], total=1),
        "2 tasks were open at once on all accounts",
    ),
    "on an account that is not ours": (
        run([job("a")], RIGHT, slots={"key-9": 2}),
        "1 tasks were open at once on key-1",
    ),
    "claimed out of order": (
        run([job("a"), EARLIER], [*RIGHT, accepted("b"), ended("b"), sent("b")]),
        "which joined first",
    ),
    "captured though it failed": (
        run(
            [failed("a", "gpu_oom")],
            [accepted("a"), ended("a", 1, "gpu_oom"), sent("a")],
            ledger=compose.entries(job("a")),
        ),
        "its ledger",
    ),
    "refunded to another bucket": (
        run([unknown()], [], ledger=compose.entries(unknown(), closed="refund", bucket="monthly")),
        "its ledger",
    ),
    "charged another price": (run([job("a")], RIGHT, ledger=[]), "costs 60"),
    "a balance that is no sum": (
        run([job("a")], RIGHT, balances={("ana", "lifetime"): (1000, 0)}),
        "its entries say",
    ),
    "a lost callback": (run([job("a", callbacks=())], RIGHT), "answered 200"),
    "a callback of nobody's": (
        run([job("a", callbacks=(kept("a"), kept("b")))], RIGHT),
        "nobody sent it",
    ),
    "other bytes": (
        run([job("a", callbacks=(replace(kept("a"), masked=()),))], RIGHT),
        "other bytes",
    ),
    "bytes cut short": (
        run([job("a", callbacks=(replace(kept("a"), size=3),))], RIGHT),
        "other bytes",
    ),
    "a history behind": (run([job("a", through_seq=11)], RIGHT), "its history reaches 11"),
    "a gap": (run([job("a", event_seqs=(1, *range(3, 13)))], RIGHT), "12 events"),
    "a trail that says otherwise": (
        run([job("a", shown=("failed", "gpu_oom", "running"))], RIGHT),
        "its trail says",
    ),
    "a step left out": (
        run([job("a", steps=compose.COMPLETED.replace("running ", ""))], RIGHT),
        "after the steps UICKQSWD",
    ),
    "an end that is none": (
        run([job("a", steps=compose.COMPLETED.replace(" completed", ""))], RIGHT),
        "after the steps UICKQSRW",
    ),
    "failed elsewhere": (
        run([unknown(failed_at_step="running")], []),
        "failed at running after the steps UICKQSF",
    ),
    "times that go back": (
        run([ending(Step(name="completed", at=compose.at(0)))], RIGHT),
        "times go back",
    ),
    "steps of no attempt": (
        run([ending(Step(name="completed", at=compose.at(9), attempt=2))], RIGHT),
        "its steps are of",
    ),
}


@pytest.mark.parametrize("right", RIGHT_RUNS.values(), ids=RIGHT_RUNS)
def test_judge_is_silent_on_a_right_run(right: Run) -> None:
    assert complaints(right) == []


@pytest.mark.parametrize(("wrong", "words"), WRONG_RUNS.values(), ids=WRONG_RUNS)
def test_judge_names_what_is_wrong(wrong: Run, words: str) -> None:
    assert any(words in complaint for complaint in complaints(wrong)), complaints(wrong)
