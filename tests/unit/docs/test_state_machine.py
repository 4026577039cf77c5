from __future__ import annotations

import re
from types import FunctionType

import pytest

from services.queue import admission, machine, start
from services.queue.domain import JobStatus, Outcome, Phase, Step
from tests.support.documents import ROOT

TEXT = (ROOT / "docs" / "state_machine.md").read_text("utf-8")
DIAGRAM = TEXT.partition("```mermaid")[2].partition("```")[0]
# "" is an attempt under way; `ended` is a phase of statuses that the diagram shows as such.
OUTCOMES = [outcome for outcome in Outcome if outcome]
COMMANDS = [(command.__name__, rule) for command, rule in machine.RULES.items()]


@pytest.mark.parametrize(("name", "rule"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_is_told_with_its_function(name: str, rule: FunctionType) -> None:
    module = rule.__module__.rpartition(".")[2]
    function = f"{module}.{rule.__name__}"
    assert re.search(rf"^\| `{name}` \|.*`{function}`", TEXT, re.MULTILINE)


@pytest.mark.parametrize("rule", [admission.create, admission.submit, start.claim])
def test_every_rule_beside_the_commands_is_told(rule: FunctionType) -> None:
    module = rule.__module__.rpartition(".")[2]
    assert f"`{module}.{rule.__name__}`" in TEXT


@pytest.mark.parametrize("status", list(JobStatus))
def test_every_status_is_in_the_diagram_and_explained(status: JobStatus) -> None:
    assert re.search(rf"\b{status.value}\b", DIAGRAM)
    assert f"`{status.value}`" in TEXT


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_is_explained(phase: Phase) -> None:
    assert f"`{phase.value}`" in TEXT


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_explained(outcome: Outcome) -> None:
    assert f"`{outcome.value}`" in TEXT


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.CANCELLED])
def test_every_step_is_named(step: Step) -> None:
    assert f"`{step.value}`" in TEXT


def test_every_arrow_of_the_diagram_names_states_that_exist() -> None:
    states = {*JobStatus, *Phase}
    for left, right in re.findall(r"^\s*(\S+) --> (\S+?)(?::|$)", DIAGRAM, re.MULTILINE):
        assert {left, right} - {"[*]"} <= states


def test_no_label_of_the_diagram_is_cut_by_a_semicolon() -> None:
    # Mermaid takes what follows one for the next statement.
    assert ";" not in DIAGRAM


def test_every_final_status_of_the_diagram_is_final() -> None:
    final = set(re.findall(r"^\s*(\w+) --> \[\*\]", DIAGRAM, re.MULTILINE))
    assert final == {status.value for status in JobStatus if status.is_final}
