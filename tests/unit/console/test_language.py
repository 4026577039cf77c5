from __future__ import annotations

import pytest

from etapa_client.words import Language
from services.console.language import choose_language


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "wanted"),
    [
        ("en", "pt", "pt-BR", Language.EN),
        ("", "en", "pt-BR", Language.EN),
        ("pt-BR", "en", "", Language.PT),
        ("", "", "en-GB,en;q=0.9", Language.EN),
        ("", "", "de, en;q=0.5, pt;q=0.9", Language.PT),
        ("", "", "en;q=0, de", Language.PT),
        ("", "", "en;q=nonsense", Language.PT),
        ("de", "fr", "ja", Language.PT),
        ("", "", "", Language.PT),
    ],
)
def test_language_is_asked_then_kept_then_accepted_then_portuguese(
    asked: str, kept: str, accepted: str, wanted: Language
) -> None:
    assert choose_language(asked, kept, accepted) is wanted
