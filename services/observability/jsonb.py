"""Text for jsonb columns: what jsonb can't hold becomes {"_text": ...}, or {"_base64": ...}."""

from __future__ import annotations

import base64
import json
import re

import msgspec

# jsonb keeps numbers as numeric: at most 131,072 digits before and 16,383 after the point
# (PostgreSQL manual, "Numeric Types", read 2026-11-24). Nobody means numbers of this length.
_NUMBER_CHARS = 400
_EXPONENT = 400
_SUSPECT = re.compile(rb"\\u0000|[eE][+-]?\d{3,}|[\d.]{400,}")


class _UnfitError(ValueError):
    """JSON that jsonb can't hold."""


def jsonb_text(data: bytes) -> str:
    """Return `data` itself where jsonb can hold it, else a jsonb value that wraps it."""
    if fits_jsonb(data):
        return data.decode()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        return _encode({"_base64": base64.b64encode(data).decode()})
    return _encode({"_text": text})


def fits_jsonb(data: bytes) -> bool:
    """Tell whether Postgres would take these bytes as jsonb, unchanged in meaning."""
    try:
        msgspec.json.decode(data)
        if _SUSPECT.search(data):
            _check(json.loads(data, parse_float=_check_number, parse_int=_check_number))
    except (ValueError, RecursionError):
        # UnicodeDecodeError and msgspec's errors are ValueErrors.
        return False
    return True


def _check_number(text: str) -> int:
    exponent = text.lower().partition("e")[2]
    if len(text) > _NUMBER_CHARS or (exponent and abs(int(exponent)) > _EXPONENT):
        raise _UnfitError
    return 0


def _check(value: object) -> None:
    if isinstance(value, str) and "\x00" in value:
        raise _UnfitError
    if isinstance(value, dict):
        for key, each in value.items():
            _check(key)
            _check(each)
    elif isinstance(value, list):
        for each in value:
            _check(each)


def _encode(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()
