"""Rules match, count and fall by their seed alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.emulator.faults import FaultBook, FaultSpec, Subject

START = Subject("start", "v2", "key", "app", "default", ("api/abc.jpg", "cat.jpg"))


def book(*specs: FaultSpec) -> FaultBook:
    made = FaultBook()
    for spec in specs:
        made.add(spec)
    return made


@pytest.mark.parametrize(
    ("match", "fires"),
    [
        ({}, True),
        ({"key": "key"}, True),
        ({"key": "other"}, False),
        ({"app": "other"}, False),
        ({"file": "cat"}, True),
        ({"file": "abc"}, True),
        ({"file": "dog"}, False),
        ({"instance": "plus"}, False),
        ({"generation": "v1"}, False),
        ({"point": "query"}, False),
        ({"point": "any"}, True),
    ],
)
def test_a_rule_matches_by_all_it_names(match: dict[str, Any], fires: bool) -> None:
    rules = book(FaultSpec(action="code", code=421, **match))
    assert (rules.decide_call(START) is not None) is fires


def test_count_and_skip_bound_how_often_a_rule_fires() -> None:
    rules = book(FaultSpec(action="code", code=421, skip=1, count=2))
    fired = [rules.decide_call(START) is not None for _ in range(5)]
    assert fired == [False, True, True, False, False]


def test_the_first_rule_that_fires_wins_a_call() -> None:
    rules = book(FaultSpec(action="code", code=421, count=1), FaultSpec(action="http", status=503))
    actions = [spec.action for spec in (rules.decide_call(START), rules.decide_call(START)) if spec]
    assert actions == ["code", "http"]


def test_a_task_collects_one_fault_of_each_action() -> None:
    rules = book(
        FaultSpec(action="callback_late", seconds=1),
        FaultSpec(action="callback_late", seconds=2),
        FaultSpec(action="callback_duplicate"),
        FaultSpec(action="code", code=421),
    )
    decided = rules.decide_task(START)
    assert [(spec.action, spec.seconds) for spec in decided] == [
        ("callback_late", 1),
        ("callback_duplicate", None),
    ]


def test_the_rate_holds_over_many_matches() -> None:
    rules = book(FaultSpec(action="callback_lost", rate=0.2, seed=1))
    fired = sum(bool(rules.decide_task(START)) for _ in range(5000))
    assert 900 < fired < 1100


def test_actions_with_the_same_seed_fall_independently() -> None:
    rules = book(
        FaultSpec(action="callback_lost", rate=0.5, seed=1),
        FaultSpec(action="callback_duplicate", rate=0.5, seed=1),
    )
    both = sum(len(rules.decide_task(START)) == 2 for _ in range(2000))
    assert 400 < both < 600


def test_a_drawn_class_is_one_of_those_given_and_repeats_with_the_seed() -> None:
    spec = FaultSpec(action="fail", classes=("gpu_oom", "infra", "no_output"), seed=3)
    runs = [[book_draw(rules) for _ in range(30)] for rules in (book(spec), book(spec))]
    assert runs[0] == runs[1]
    assert set(runs[0]) == set(spec.classes)


def book_draw(rules: FaultBook) -> str:
    (spec,) = rules.decide_task(START)
    (drawn,) = spec.classes
    return drawn


def test_a_removed_rule_does_not_fire() -> None:
    rules = book(FaultSpec(action="code", code=421))
    assert rules.remove(rules.rules[0].rule_id) == 1
    assert rules.remove("f1") == 0
    assert rules.decide_call(replace(START)) is None
