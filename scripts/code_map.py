"""Write the list of all modules into ARCHITECTURE.md, each with its own first sentence.

`make map` writes; `--check` only says whether the list is as it should be.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "ARCHITECTURE.md"
FOLDERS = (
    "services/tools",
    "services/tools/catalog",
    "services/queue",
    "services/observability",
    "services/observability/store",
    "services/webhook",
    "services/console",
    "services/cli",
    "services/emulator",
    "services/runninghub",
    "services/runtime",
    "sdk/src/etapa_client",
    "scripts",
)
BEGIN, END = "<!-- code map: begin, written by `make map` -->", "<!-- code map: end -->"
_SENTENCE = re.compile(r"(.+?[.:])(?:\s+[A-Z`>]|\s*$)", re.DOTALL)


def code_map() -> str:
    """Return the list: a heading for each folder, a line for each of its modules."""
    return "\n".join(line for folder in FOLDERS for line in _folder(ROOT / folder)).rstrip()


def _folder(folder: Path) -> Iterator[str]:
    yield f"### `{folder.relative_to(ROOT)}`\n"
    for path in sorted(folder.glob("*.py")):
        sentence = first_sentence(path)
        if sentence:
            yield f"- `{path.name}`: {sentence}"
    yield ""


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring on one line; empty if there is none."""
    docstring = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split())
    match = _SENTENCE.match(docstring)
    return (match[1] if match else docstring).rstrip(":")


def with_map(text: str) -> str:
    """Return the document with its list made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{code_map()}\n\n{END}{after}"


def main() -> int:
    """Write the list, or check it; return 1 if it was to be checked and is not as it should be."""
    text = DOCUMENT.read_text("utf-8")
    wanted = with_map(text)
    if "--check" in sys.argv:
        if text != wanted:
            print("ARCHITECTURE.md: the list of modules is old; run `make map`")
        return int(text != wanted)
    DOCUMENT.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
