"""Faults on demand: which calls, runs and callbacks go wrong, decided once and reproducibly.

A rule matches by place, key, app, input file and machine, and fires by a seeded rate, at most
`count` times. Deciding has no side effect but the rule's own counters; acting on a fault is the
business of the module that owns the call, the run or the delivery.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.emulator.reasons import NO_OUTPUT, REASONS
from services.runtime.errors import InvalidInputError

CALL_ACTIONS = frozenset(
    {"code", "http", "garbage", "hang", "reset", "slow_answer", "no_money", "outputs_null"}
)
RUN_ACTIONS = frozenset({"fail", "cancelled", "slow_run", "outputs_expired", "node_errors"})
CALLBACK_ACTIONS = frozenset(
    {
        "callback_lost",
        "callback_late",
        "callback_duplicate",
        "callback_early",
        "callback_contradictory",
        "callback_malformed",
        "callback_form",
        "callback_unknown_event",
        "callback_unknown_task",
    }
)
POINTS = frozenset({"start", "upload", "query", "outputs", "cancel", "account", "file", "any"})


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule as the admin API takes it. `seconds` are provider seconds.

    Who: `point` (calls only; `query` covers status and v2 query), `key`, `app`, `file` (part of
    an uploaded file's name or of the value itself), `instance`, `generation`. When: `rate` with
    `seed`, `skip` the first matches, at most `count` times. What: `action` with its parameters.
    """

    action: str
    point: str = "start"
    rate: float = 1.0
    seed: int = 0
    skip: int = 0
    count: int | None = None
    key: str = ""
    app: str = ""
    file: str = ""
    instance: str = ""
    generation: str = ""
    # code: which error, its words, as int in v2, and whether a refused start carries a task id
    code: int = 0
    text: str = ""
    int_code: bool = False
    task_id: str = ""
    # http (502 if unset) and outputs_expired (410): which status; http: as HTML or JSON;
    # http, hang, reset, garbage, slow_answer: before or after the act itself
    status: int = 0
    html: bool = True
    when: str = "before"
    seconds: float | None = None
    # fail: names of reasons, one is drawn
    classes: tuple[str, ...] = ()
    times: int = 3
    concurrent: bool = False
    form: str = "string"
    order: str = "wrong_first"

    def facts(self) -> dict[str, Any]:
        """Return the parts that differ from the defaults, for the journal."""
        shown = msgspec.structs.asdict(self)
        default = msgspec.structs.asdict(FaultSpec(action=self.action))
        return {
            "action": self.action,
            **{name: value for name, value in shown.items() if value != default[name]},
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule is matched against. `files` are values and the names they were uploaded as."""

    point: str
    generation: str
    key: str = ""
    app: str = ""
    instance: str = ""
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class Rule:
    """A rule in force with its counters."""

    rule_id: str
    spec: FaultSpec
    dice: random.Random
    matched: int = 0
    fired: int = 0

    def try_fire(self, subject: Subject) -> FaultSpec | None:
        """Count a match and say what happens: the spec with its class drawn, or nothing."""
        if not _matches(self.spec, subject):
            return None
        spec = self.spec
        self.matched += 1
        # The dice fall on every match, so that `count` and `skip` do not shift the sequence.
        fell = self.dice.random() < spec.rate
        drawn = self.dice.choice(spec.classes) if spec.classes else ""
        spent = spec.count is not None and self.fired >= spec.count
        if not fell or spent or self.matched <= spec.skip:
            return None
        self.fired += 1
        return msgspec.structs.replace(spec, classes=(drawn,)) if drawn else spec


@dataclass(slots=True)
class FaultBook:
    """All rules in force, in the order in which they were added."""

    rules: list[Rule] = field(default_factory=list)
    added: int = 0

    def add(self, spec: FaultSpec) -> Rule:
        """Put a rule in force; raise `InvalidInputError` where it could never act."""
        _check(spec)
        self.added += 1
        seed = f"{spec.seed}:{spec.action}:{spec.point}:{','.join(spec.classes)}"
        rule = Rule(f"f{self.added}", spec, random.Random(seed))  # noqa: S311  not a secret
        self.rules.append(rule)
        return rule

    def remove(self, rule_id: str | None = None) -> int:
        """Take one rule, or all of them, out of force; return how many that were."""
        kept = [item for item in self.rules if rule_id is not None and item.rule_id != rule_id]
        removed = len(self.rules) - len(kept)
        self.rules = kept
        return removed

    def decide_call(self, subject: Subject) -> FaultSpec | None:
        """Return the first rule that fires on a call. At most one does."""
        return next(self._fire(CALL_ACTIONS, subject), None)

    def decide_task(self, subject: Subject) -> tuple[FaultSpec, ...]:
        """Return all that will go wrong with an accepted task: at most one rule per action."""
        fired: dict[str, FaultSpec] = {}
        for spec in self._fire(RUN_ACTIONS | CALLBACK_ACTIONS, subject):
            fired.setdefault(spec.action, spec)
        return tuple(fired.values())

    def _fire(self, actions: frozenset[str], subject: Subject) -> Iterator[FaultSpec]:
        for rule in self.rules:
            if rule.spec.action in actions and (spec := rule.try_fire(subject)) is not None:
                yield spec


def _matches(spec: FaultSpec, subject: Subject) -> bool:
    is_call = spec.action in CALL_ACTIONS
    return (
        (not is_call or spec.point in {subject.point, "any"})
        and spec.key in {"", subject.key}
        and spec.app in {"", subject.app}
        and spec.instance in {"", subject.instance}
        and spec.generation in {"", subject.generation}
        and (not spec.file or any(spec.file in name for name in subject.files))
    )


def _check(spec: FaultSpec) -> None:
    """Refuse what would silently do nothing."""
    _check_choices(spec)
    if not 0.0 <= spec.rate <= 1.0:
        raise InvalidInputError("rate must lie between 0 and 1", "rate")
    if spec.action == "code" and spec.code <= 0:
        raise InvalidInputError("the action `code` needs a code above 0", "code")
    if spec.action == "fail" and not spec.classes and not spec.code:
        raise InvalidInputError("the action `fail` needs classes or a code", "classes")
    unknown = sorted(set(spec.classes) - REASONS.keys() - {NO_OUTPUT})
    if unknown:
        raise InvalidInputError(f"no failure is called {', '.join(unknown)}", "classes")


def _check_choices(spec: FaultSpec) -> None:
    choices: dict[str, Collection[str]] = {
        "action": CALL_ACTIONS | RUN_ACTIONS | CALLBACK_ACTIONS,
        "point": POINTS,
        "task_id": ("", "refused", "accepted"),
        "when": ("before", "after"),
        "form": ("string", "object", "toplevel"),
        "order": ("wrong_first", "wrong_last"),
    }
    for name, allowed in choices.items():
        value = getattr(spec, name)
        if value not in allowed:
            raise InvalidInputError(f"{name}={value!r} is not one of {sorted(allowed)}", name)
