"""What must never be in a file of the project: places of one machine, hosts of registries."""

from __future__ import annotations

import re

from tests.support.documents import ROOT, tracked_files

# Folders that exist on one machine only, and hosts that packages come from.
PLACES = re.compile(rb"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/[\w./-]*")
HOSTS = re.compile(
    rb"https?://[^\s\"'<>)]*(?:pypi|pythonhosted|registry\.npmjs|crates\.io|proxy\.golang)", re.I
)
INDEX_LINES = re.compile(rb"^\s*(?:--(?:extra-)?index-url|-i\s|--find-links|-f\s)", re.MULTILINE)


def found(pattern: re.Pattern[bytes], *suffixes: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {match[0].decode(errors='replace')}"
        for path in tracked_files()
        if path.suffix in suffixes or not suffixes
        for match in [pattern.search(path.read_bytes())]
        if match
    ]


def test_no_file_names_a_folder_of_one_machine() -> None:
    # Tracebacks of the provider's machines are data.
    assert [hit for hit in found(PLACES) if not hit.startswith("tests/data/")] == []


def test_no_file_names_the_host_of_a_registry() -> None:
    assert found(HOSTS) == []


def test_no_lock_or_requirements_file_chooses_an_index() -> None:
    assert found(INDEX_LINES, ".lock", ".txt", ".toml") == []
