"""Reads the project's documents as its tests look at them: headings, tables, links, code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README, README_PT = ROOT / "README.md", ROOT / "README.pt-BR.md"
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CELLS = re.compile(r"(?<!\\)\|")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return the files of the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name for name in listed.stdout.split("\0") if name}
    return tuple(sorted(ROOT / name for name in names if (ROOT / name).is_file()))


def documents() -> list[Path]:
    """Return all Markdown files of the project."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def links(path: Path) -> list[str]:
    """Return where the links and pictures of a document lead, outside of code."""
    return _LINK.findall(_FENCE.sub("", path.read_text("utf-8")))


def code_blocks(path: Path) -> list[str]:
    """Return the fenced blocks of a document."""
    return _FENCE.findall(path.read_text("utf-8"))


def headings(path: Path) -> list[tuple[int, str]]:
    """Return (level, text) of each heading."""
    text = _FENCE.sub("", path.read_text("utf-8"))
    found = re.findall(r"^(#+) (.+)$", text, re.MULTILINE)
    return [(len(marks), title.strip()) for marks, title in found]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(path)}


def tables(path: Path) -> list[list[list[str]]]:
    """Return each table as rows of cells, its head first and without the line below it."""
    found: list[list[list[str]]] = []
    inside = False
    for line in _FENCE.sub("", path.read_text("utf-8")).splitlines():
        is_row = line.startswith("|")
        if is_row and not inside:
            found.append([])
        if is_row and not set(line) <= set("|-: "):
            found[-1].append([cell.strip() for cell in _CELLS.split(line)[1:-1]])
        inside = is_row
    return found


def named_rows(path: Path, pattern: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, row) of all table rows whose first cell is a code word of that pattern."""
    for table in tables(path):
        for row in table:
            match = re.fullmatch(f"`({pattern})`", row[0])
            if match:
                yield match[1], row
