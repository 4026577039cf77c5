"""Reads foreign JSON without ever raising and without losing a digit.

What is expected but of another type becomes an empty value; the parsers in `wire`, `envelope`
and `callback` say which of those are worth flagging.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.runtime.text import without_nul

JsonObject = Mapping[str, object]
_MAX_DIGITS: Final = 4000  # int() refuses more than 4300 digits


@dataclass(frozen=True, slots=True)
class Decoded:
    """One body: `value` is meaningful only where `is_json`."""

    is_json: bool
    value: object = None


def decode(body: bytes | str) -> Decoded:
    """Parse JSON. Integers stay exact whatever their size; decimals stay the text they were."""
    try:
        if isinstance(body, bytes):
            body = body.decode(json.detect_encoding(body), "surrogatepass")
        return Decoded(True, _DECODER.decode(body))
    except (ValueError, RecursionError):
        return Decoded(False)


def decode_nested(value: object) -> object:
    """Return what a JSON text inside a JSON string holds; any other value as it is."""
    if not isinstance(value, str):
        return value
    inner = decode(value)
    return inner.value if inner.is_json else value


def as_object(value: object) -> JsonObject:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return the list, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return a text or number as text, anything else as "".

    NUL and lone surrogates, which neither UTF-8 nor Postgres can hold, become U+FFFD.
    """
    if isinstance(value, str) and value.isascii():
        return without_nul(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = without_nul(str(value))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_words(value: object) -> str:
    """Return a text as it is, and any other JSON as its JSON text; "" for null and empties."""
    if value is None or value in ({}, [], ""):
        return ""
    if isinstance(value, str | int):
        return as_text(value)
    try:
        return as_text(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return ""


def as_code(value: object) -> str:
    """Return an error code as text; "" where all is well ("0", 0, "", null)."""
    text = as_text(value).strip()
    whole, _, fraction = text.partition(".")
    if fraction.strip("0") == "" and whole.isdecimal():
        text = whole
    return "" if text == "0" else text


def as_count(value: object) -> int | None:
    """Return a whole number that came as number or text; None for anything else."""
    text = as_text(value).strip()
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        return None
    return int(text)


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


# Made once: `json.loads` with the same wishes makes one for each body, a third of its time.
_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=str, parse_constant=str)
