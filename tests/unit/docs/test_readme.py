from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from services.cli.addresses import Addresses
from services.cli.service_table import SERVICES, Service
from tests.support.documents import (
    README,
    README_PT,
    ROOT,
    code_blocks,
    headings,
    links,
    named_rows,
    tables,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SIX_WORDS = ("job", "tool", "step", "attempt", "slot", "trail")


def listening() -> dict[str, str]:
    table = next(table for table in tables(README) if table[0][-1] == "Listens at")
    return {row[0].strip("`"): row[-1] for row in table[1:]}


def test_every_service_is_in_the_table_of_services() -> None:
    assert set(listening()) == {service.name for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_listener_of_a_service_is_told_with_its_default_address(service: Service) -> None:
    defaults = Addresses()
    told = listening()[service.name]
    for listener in service.listeners:
        assert f"`{defaults.of(listener)}`" in told


def test_every_listener_can_be_set_by_a_variable_of_the_table() -> None:
    told = {name for name, _ in named_rows(README, r"ETAPA_\w+_LISTEN")}
    assert told == {f"ETAPA_{field.name.upper()}_LISTEN" for field in fields(Addresses)}


def test_every_runtime_dependency_is_told_with_its_reason() -> None:
    wanted = {re.split(r"[><=;\s]", text)[0] for text in PROJECT["dependencies"]}
    told = {row[0].strip("`"): row[1] for row in dependency_table()[1:]}
    assert {name for name in told if "(" not in name} == wanted
    assert all(told.values())


def test_every_vendored_file_is_told() -> None:
    told = " ".join(row[0].lower() for row in dependency_table() if "(vendored)" in row[0])
    static = ROOT / "services" / "console" / "static"
    for path in (*static.glob("*.min.js"), *static.glob("*.woff2")):
        assert path.name.partition("-")[0] in told, path.name


def dependency_table() -> list[list[str]]:
    return next(table for table in tables(README) if table[0] == ["Package", "What for"])


def test_the_six_words_are_told_first() -> None:
    table = next(table for table in tables(README) if table[0] == ["Word", "Meaning"])
    assert tuple(row[0].strip("*") for row in table[1:]) == SIX_WORDS


def test_the_commands_of_the_readme_exist_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z0-9-]+)", README.read_text("utf-8")))
    assert used - targets == set()


def test_both_readmes_have_the_same_outline() -> None:
    assert [level for level, _ in headings(README)] == [level for level, _ in headings(README_PT)]


def test_both_readmes_lead_to_the_same_places() -> None:
    def places(path: Path) -> list[str]:
        return [link for link in links(path) if link not in ("README.md", "README.pt-BR.md")]

    assert places(README) == places(README_PT)


def test_both_readmes_show_the_same_commands() -> None:
    def commands(block: str) -> list[str]:
        return [line.partition(" #")[0].strip() for line in block.splitlines()]

    assert [commands(block) for block in code_blocks(README)] == [
        commands(block) for block in code_blocks(README_PT)
    ]


def test_both_readmes_have_tables_of_the_same_rows() -> None:
    def shape(rows: list[list[str]]) -> list[str]:
        return [row[0].split(" (")[0] for row in rows[1:]]

    assert [shape(table) for table in tables(README)] == [
        shape(table) for table in tables(README_PT)
    ]
