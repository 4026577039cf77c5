"""Reads words and spans of time that were typed as options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from services.cli.errors import CliError

Value = TypeVar("Value")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class ChoiceError(CliError):
    """The word is none of those that can be given here."""


def pick(word: str, choices: Mapping[str, Value], what: str) -> Value:
    """Return what a word stands for; raise ChoiceError with all that can be given."""
    found = choices.get(word.strip().lower())
    if found is None:
        raise ChoiceError(f"there is no {what} {word!r}; there are: {', '.join(choices)}")
    return found


def parse_span_s(text: str) -> float:
    """Return a span of time in seconds.

    >>> parse_span_s("2h")
    7200.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if match is None:
        raise ChoiceError(f"{text!r} is no span of time; give it as 90s, 30m, 2h or 7d")
    return float(match[1]) * _UNITS_S[match[2]]
