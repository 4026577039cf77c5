from __future__ import annotations

import pytest

from services.queue.domain import JobStatus, LedgerKind, Phase, Step
from tests.support.documents import ROOT, tables

PATH = ROOT / "docs" / "glossary.md"
WORDS = [row[0].strip("*") for row in tables(PATH)[0][1:]]
# The words that the house fixed before its first line of code.
FIXED = (
    "job",
    "tool",
    "step",
    "attempt",
    "queue",
    "worker",
    "lease",
    "heartbeat",
    "enqueue",
    "claim",
    "retry",
    "backoff",
    "idempotency key",
    "dead letter",
    "webhook delivery",
)


def test_no_word_is_explained_twice() -> None:
    assert sorted(WORDS) == sorted(set(WORDS))


@pytest.mark.parametrize("word", FIXED)
def test_every_fixed_word_is_explained(word: str) -> None:
    assert word in WORDS


def test_the_fixed_vocabularies_are_told_whole() -> None:
    meanings = {row[0].strip("*"): row[1] for row in tables(PATH)[0][1:]}
    for word, values in (("step", Step), ("status", JobStatus), ("phase", Phase)):
        for value in values:
            assert f"`{value.value}`" in meanings[word]
    for kind in LedgerKind:
        assert kind.value in meanings["ledger"]
