from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.code_map import DOCUMENT, FOLDERS, with_map
from tests.support.documents import ROOT, documents, tracked_files

NAMED = re.compile(r"`([\w./*-]+\.(?:py|sql|proto|sh|yaml|json))`")
# A file that a reader is about to make, and files of servers.
NOT_OURS = {"services/tools/catalog/sky_changer.py", "tests/unit/tools/catalog/test_sky_changer.py"}


def test_the_list_of_modules_is_what_the_modules_say_of_themselves() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_map(text), "run `make map`"


def test_every_package_of_the_code_is_in_the_list() -> None:
    packages = {
        str(path.parent.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "services")
    }
    assert packages - {"services"} <= set(FOLDERS)


# The provider's reference names files of other projects: its sources.
OURS = [path for path in documents() if path.name != "runninghub-api.md"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(path: Path) -> None:
    names = set(NAMED.findall(path.read_text("utf-8"))) - NOT_OURS
    assert {name for name in names if not exists(name)} == set()


def exists(name: str) -> bool:
    if "*" in name:
        return any(ROOT.glob(name)) or any(ROOT.glob(f"services/{name}"))
    return any(str(path).endswith(f"/{name}") for path in tracked_files())
