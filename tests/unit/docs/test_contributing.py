from __future__ import annotations

import re

from tests.support.documents import ROOT, headings, tables

PATH = ROOT / "CONTRIBUTING.md"


def test_every_target_of_the_makefile_is_told() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    shown = set(re.findall(r"^([a-z0-9-]+):.*##", makefile, re.MULTILINE)) - {"help"}
    table = next(table for table in tables(PATH) if table[0][0] == "Target")
    told = {row[0].strip("`").removeprefix("make").strip() for row in table[1:]} - {""}
    assert told == shown - {"setup"}


def test_there_is_a_checklist_for_what_is_added_often() -> None:
    titles = {title for _, title in headings(PATH)}
    assert {"Add a tool", "Add an RPC", "Add a migration", "Add a setting"} <= titles
