from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import ROOT

FOLDER = ROOT / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("*.md"))
PARTS = ("**Context.**", "**Decision.**", "**Consequences.**", "**Alternatives.**")


def test_records_are_numbered_without_gap_or_clash() -> None:
    numbers = [int(path.name[:4]) for path in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_names_its_number_and_has_its_four_parts_in_order(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {path.name[:4]}. ")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_under_a_page(path: Path) -> None:
    assert len(path.read_text("utf-8").split()) <= 450
