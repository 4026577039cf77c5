"""Writes JSON as indented lines of tokens, each line with the path of what stands on it.

Numbers, repeated keys and their order stay as they came: nothing is read into values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_INDENT = "  "
MAX_LINES = 5000


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that repeated keys survive."""


class _Number(str):
    """A number as it was written."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line. `kind` is key, string, number, word or mark."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and the JSON path of its value, such as `$.eventData.status`."""

    path: str
    tokens: tuple[Token, ...]


def lines_of(text: str) -> list[Line] | None:
    """Return the lines; None where the text is no JSON, too deep, or too long to be of help."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (ValueError, RecursionError):
        return None
    lines: list[Line] = []
    try:
        for line in _write(value, "$", "", (), ""):
            lines.append(line)
            if len(lines) > MAX_LINES:
                return None
    except RecursionError:
        return None
    return lines


def marked(lines: list[Line], evidence_path: str) -> int:
    """Return the index of the line that proves it: the path's own, or its nearest parent's.

    The proof may lie inside JSON that stands as text in a string; then that string is marked.
    -1 for none.
    """
    wanted = evidence_path
    while wanted and wanted != "$":
        for index, line in enumerate(lines):
            if line.path == wanted:
                return index
        cut = max(wanted.rfind("."), wanted.rfind("["))
        wanted = wanted[:cut] if cut > 0 else ""
    return -1


def _write(
    value: Any, path: str, indent: str, before: tuple[Token, ...], after: str
) -> Iterator[Line]:
    opening = (Token("mark", indent), *before)
    if isinstance(value, _Pairs) and value:
        yield Line(path, (*opening, Token("mark", "{")))
        for index, (key, item) in enumerate(value):
            label = (Token("key", _quoted(key)), Token("mark", ": "))
            comma = "," if index < len(value) - 1 else ""
            yield from _write(item, f"{path}.{key}", indent + _INDENT, label, comma)
        yield Line("", (Token("mark", f"{indent}}}{after}"),))
    elif isinstance(value, list) and value:
        yield Line(path, (*opening, Token("mark", "[")))
        for index, item in enumerate(value):
            comma = "," if index < len(value) - 1 else ""
            yield from _write(item, f"{path}[{index}]", indent + _INDENT, (), comma)
        yield Line("", (Token("mark", f"{indent}]{after}"),))
    else:
        yield Line(path, (*opening, _scalar(value), Token("mark", after)))


def _scalar(value: Any) -> Token:
    if isinstance(value, _Number):
        return Token("number", str(value))
    if isinstance(value, str):
        return Token("string", _quoted(value))
    if isinstance(value, _Pairs):
        return Token("mark", "{}")
    if isinstance(value, list):
        return Token("mark", "[]")
    return Token("word", {True: "true", False: "false"}.get(value, "null"))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
