"""Texts that every store can hold."""

from __future__ import annotations

import pytest

from services.runtime.text import without_nul


@pytest.mark.parametrize(("text", "held"), [("a\x00b\x00", "a\ufffdb\ufffd"), ("ação", "ação")])
def test_nul_is_replaced_and_nothing_else(text: str, held: str) -> None:
    assert without_nul(text) == held
