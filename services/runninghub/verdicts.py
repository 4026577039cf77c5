"""The door to the verdict table: judges failures and has the texts for users.

Pure: data in, data out, so that any domain may import it. The provider's own words stand beside
every class, unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

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
    "parse_retry_overrides",
    "user_text",
    "with_retry_overrides",
]


def judge_output(words: str, http_status: int | None = None) -> Verdict:
    """Judge an output that could not be saved for good; `words` say what was met.

    Where its address answers 403, 404 or 410 it is gone; any other status is the file host's fault
    as well. Without a status the fault is ours.
    """
    name = "output_gone" if http_status in (403, 404, 410) else "output_undelivered"
    if http_status is None:
        name = "output_unsavable"
    return Verdict(CLASSES[name], CLASSES[name].stage, words, "own")


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
