from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "services/console/static"


def test_files_of_others_are_the_ones_that_the_list_names() -> None:
    listed = dict(
        re.findall(
            r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", (ROOT / "THIRD_PARTY.md").read_text(), re.M
        )
    )
    theirs = [*STATIC.glob("*.min.js"), *STATIC.glob("*.woff2")]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in theirs} == listed
    assert len(list((STATIC / "licenses").glob("*.txt"))) == len(listed)
