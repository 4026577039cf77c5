"""Texts from outside, made such that every store of ours can hold them."""

from __future__ import annotations

# The replacement character, which a decoder puts for what it cannot read.
_INSTEAD = "\ufffd"


def without_nul(text: str) -> str:
    """Return a text that Postgres can hold: NUL becomes U+FFFD. What was sent is kept as bytes."""
    return text.replace("\x00", _INSTEAD) if "\x00" in text else text
