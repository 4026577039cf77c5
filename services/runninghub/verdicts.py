"""The door to the verdict table: judges calls, tasks and outputs, and has the texts for users.

Pure: data in, data out, so that any domain may import it. The provider's own words stand beside
every class, unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from services.runninghub.classifier import (
    Evidence,
    Verdict,
    classify,
    error_words,
    evidence_of,
)
from services.runninghub.exchange import Transport
from services.runninghub.failure import (
    AccountEffect,
    AutoRetry,
    FailureClass,
    RetryWorth,
    Side,
    Stage,
    UserText,
)
from services.runninghub.report import StartOutcome, StartReply, TaskReport, TaskState
from services.runninghub.verdict_table import CLASSES
from services.runninghub.verdict_texts import TEXTS

__all__ = [
    "CLASSES",
    "AccountEffect",
    "AutoRetry",
    "Evidence",
    "FailureClass",
    "RetryWorth",
    "Side",
    "Stage",
    "Transport",
    "UserText",
    "Verdict",
    "classify",
    "error_words",
    "evidence_of",
    "failure_class",
    "judge_output",
    "judge_start",
    "judge_task",
    "own_verdict",
    "parse_retry_overrides",
    "user_text",
    "with_retry_overrides",
]


def own_verdict(name: str, words: str, stage: Stage | None = None) -> Verdict:
    """Return a verdict that we reach ourselves, such as a deadline's; `words` say what was met.

    Raises KeyError on a name that is not in the table.
    """
    failure = CLASSES[name]
    return Verdict(failure, stage or failure.stage, words, "own")


def judge_start(
    reply: StartReply | None, transport: Transport = Transport.REPLIED
) -> Verdict | None:
    """Judge a start call; None where it was accepted.

    A DOUBTFUL reply gets the verdict on its error; query its task id before believing it.
    """
    if transport is Transport.REPLIED and reply is not None:
        if reply.outcome is StartOutcome.ACCEPTED:
            return None
        return classify(evidence_of(Stage.START, reply))
    return classify(evidence_of(Stage.START, None, transport))


def judge_task(report: TaskReport, stage: Stage = Stage.RUN) -> Verdict | None:
    """Judge a task by its report; None while it is open, or where it succeeded with outputs.

    CALL_REFUSED and UNREADABLE get the verdict on the call; they say nothing about the task.
    BLANK and CANCELLED are read as cancelled by somebody else; after our own cancel the caller
    knows better.
    """
    words = error_words(report)
    match report.state:
        case TaskState.WAITING | TaskState.RUNNING:
            return None
        case TaskState.SUCCEEDED:
            if report.outputs or not report.tells_outputs:
                return None
            return Verdict(CLASSES["no_output"], stage, words or "SUCCESS without results", "state")
        case TaskState.BLANK | TaskState.CANCELLED:
            found = f"status {report.status!r}"
            return Verdict(CLASSES["cancelled_at_provider"], stage, words or found, "state")
        case TaskState.FAILED | TaskState.NOT_FOUND | TaskState.CALL_REFUSED | TaskState.UNREADABLE:
            return classify(evidence_of(stage, report))
        case _:
            assert_never(report.state)


def judge_output(words: str, http_status: int | None = None) -> Verdict:
    """Judge an output that could not be saved for good; `words` say what was met.

    Where its address answers 403, 404 or 410 it is gone; any other status is the file host's fault
    as well. Without a status the fault is ours.
    """
    name = "output_gone" if http_status in (403, 404, 410) else "output_undelivered"
    if http_status is None:
        name = "output_unsavable"
    return own_verdict(name, words)


def failure_class(name: str) -> FailureClass:
    """Return a class by name. A name of a newer or older release gives `unknown`."""
    return CLASSES.get(name, CLASSES["unknown"])


def user_text(failure: FailureClass | str, lang: str = "pt-BR") -> UserText:
    """Return message and advice in `pt-BR` or `en`; any other language reads English."""
    name = failure if isinstance(failure, str) else failure.name
    portuguese, english = TEXTS[failure_class(name).name]
    return portuguese if lang.lower().startswith("pt") else english


def parse_retry_overrides(text: str) -> dict[str, int]:
    """Read a setting such as `gpu_oom=1,infra=0`: automatic new attempts per class.

    Raises ValueError, with what to do, on an unknown class or a number out of 0 to 10.
    """
    overrides: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, count = (piece.strip() for piece in part.partition("="))
        if name not in CLASSES:
            raise ValueError(f"{name!r} is no failure class; use one of {', '.join(CLASSES)}")
        if not re.fullmatch(r"\d|10", count):
            raise ValueError(f"{part!r}: write {name}=N with N from 0 to 10")
        overrides[name] = int(count)
    return overrides


def with_retry_overrides(failure: FailureClass, overrides: Mapping[str, int]) -> FailureClass:
    """Return the class with its number of automatic new attempts as configured."""
    if failure.name not in overrides:
        return failure
    return replace(failure, auto=replace(failure.auto, max_retries=overrides[failure.name]))
