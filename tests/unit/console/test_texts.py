from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from etapa_client.names import (
    HEALTH_NAMES,
    LEDGER_NAMES,
    PAYLOAD_NAMES,
)
from services.console import texts

CONSOLE = Path(texts.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))
TABLES = {
    "TEXTS": texts.TEXTS,
    "STAGES": texts.STAGES,
    "LEDGER": texts.LEDGER,
    "PAYLOADS": texts.PAYLOADS,
    "HEALTHS": texts.HEALTHS,
    "SERVICES": texts.SERVICES,
    "NOTES": texts.NOTES,
    "REASONS": texts.REASONS,
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def keys_used() -> set[str]:
    """The keys that templates name, directly or by a choice between two."""
    calls = [
        call
        for path in TEMPLATES
        for call in re.findall(r"say\.t\(([^)]*)|set heading = ([^%]*)", path.read_text())
    ]
    return {key for call in calls for key in re.findall(r"'([a-z_]+)'", "".join(call))}


@pytest.mark.parametrize("table", TABLES)
def test_every_text_speaks_both_languages_with_the_same_facts(table: str) -> None:
    for key, text in TABLES[table].items():
        assert text.pt.strip(), key
        assert text.en.strip(), key
        assert placeholders(text.pt) == placeholders(text.en), key


def test_templates_name_no_text_that_is_missing() -> None:
    known = set(texts.TEXTS)
    # Words that the choices compare with.
    named = keys_used() - {"video", "request", "service", "user_id"}
    assert named - known == set()
    assert len(named) > 100


def test_the_catalogue_keeps_no_text_that_nothing_shows() -> None:
    shown = "".join(path.read_text() for path in [*TEMPLATES, *CONSOLE.glob("*.py")])
    shown = shown.replace((CONSOLE / "texts.py").read_text(), "")
    unused = {key for key in texts.TEXTS if f"'{key}'" not in shown and f'"{key}"' not in shown}
    assert unused == set()


def test_templates_hold_no_words_of_their_own() -> None:
    for path in TEMPLATES:
        bare = re.sub(r"\{[%{#].*?[%}#]\}|<[^>]*>", "", path.read_text(), flags=re.DOTALL)
        words = set(re.findall(r"[A-Za-zÀ-ú]{3,}", bare)) - {"etapa", "trace", "sha", "UTC"}
        assert words == set(), path.name


def test_every_word_of_the_protos_has_a_text() -> None:
    assert set(texts.LEDGER) == {name for name in LEDGER_NAMES.values() if name}
    assert set(texts.PAYLOADS) == {name for name in PAYLOAD_NAMES.values() if name}
    assert set(texts.HEALTHS) == {name for name in HEALTH_NAMES.values() if name}


def test_the_plans_words_stand_to_the_letter() -> None:
    assert texts.TEXTS["toast_tap"].pt == "Toque para ver detalhes"
