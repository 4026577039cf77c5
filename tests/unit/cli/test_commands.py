"""What can be typed, and that it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.cli.__main__ import build_app

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
SILENT = {"up", "demo", "psql"}  # they print what they do, not a result


def commands(app: typer.Typer, prefix: str = "") -> dict[str, typer.models.CommandInfo]:
    found = {
        prefix + (info.name or info.callback.__name__): info
        for info in app.registered_commands
        if info.callback is not None
    }
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found |= commands(group.typer_instance, f"{group.name} ")
    return found


APP = build_app({})
COMMANDS = commands(APP)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_written_down(name: str) -> None:
    first, *rest = name.split()
    lines = [line for line in DOCS.read_text().splitlines() if f"`etapa {first}" in line]
    assert any(all(word in line for word in rest) for line in lines), name


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_that_prints_a_result_prints_json(name: str) -> None:
    shown = CliRunner().invoke(APP, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert ("--json" in shown.output) == (name not in SILENT)


def test_the_design_s_commands_are_all_there() -> None:
    designed = "up run jobs job watch find cancel retry accounts tools credits psql doctor"
    groups = {group.name for group in APP.registered_groups}
    assert set(designed.split()) <= set(COMMANDS) | groups
