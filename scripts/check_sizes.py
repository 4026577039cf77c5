"""Fail where a file or a function outgrew the house's sizes: 500 and 60 lines.

What is over 300 and 40 is printed, for the reviewer's eye.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("services", "sdk/src/etapa_client", "tests", "scripts", "bench")
FILE_LINES, FUNCTION_LINES = 500, 60
LONG_FILE, LONG_FUNCTION = 300, 40


def sizes(path: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield (what, lines, long, too long) for the file and each function in it."""
    text = path.read_text("utf-8")
    name = path.relative_to(ROOT)
    yield str(name), text.count("\n"), LONG_FILE, FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{name}:{node.lineno} {node.name}", lines, LONG_FUNCTION, FUNCTION_LINES


def main() -> int:
    """Print what is long; return 1 if anything is too long."""
    found = [
        size
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for size in sizes(path)
    ]
    too_long = [(what, lines) for what, lines, _, limit in found if lines > limit]
    long = [what for what, lines, limit, most in found if limit < lines <= most]
    print(f"sizes: {len(found)} files and functions, {len(long)} long, {len(too_long)} too long")
    if "--all" in sys.argv:
        print("\n".join(long))
    for what, lines in too_long:
        print(f"  too long ({lines} lines): {what}")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
