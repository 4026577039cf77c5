from __future__ import annotations

import pytest

from etapa_client import words
from etapa_client.names import (
    FINAL_STATUSES,
    RETRY_NAMES,
    SIDE_NAMES,
    STATUS_NAMES,
    STEP_NAMES,
)
from etapa_client.words import Language


def test_every_word_of_the_protos_has_a_text() -> None:
    assert set(words.STEPS) == {name for name in STEP_NAMES.values() if name}
    assert set(words.STATUSES) == {name for name in STATUS_NAMES.values() if name}
    assert set(words.SIDES) == {name for name in SIDE_NAMES.values() if name}
    assert set(words.RETRIES) == {name for name in RETRY_NAMES.values() if name}
    assert {STATUS_NAMES[status] for status in FINAL_STATUSES} == words.FINAL


def test_every_text_speaks_both_languages() -> None:
    steps = [text for step in words.STEPS.values() for text in step]
    tables = (words.STATUSES, words.SIDES, words.RETRIES)
    others = [text for table in tables for text in table.values()]
    for text in [*steps, *others, words.UNKNOWN, words.HIGH_DEMAND]:
        assert text.pt.strip()
        assert text.en.strip()


def test_the_plans_words_stand_to_the_letter() -> None:
    live = {code: step.live.pt for code, step in words.STEPS.items()}
    names = {code: step.name.pt for code, step in words.STEPS.items()}
    assert live["running"] == "Processando com IA..."
    assert live["queued"] == "Aguardando na fila"
    assert live["webhook_received"] == "Finalizando..."
    assert live["failed"] == "Erro no processamento"
    assert names["queue_check"] == "Verificando Fila"
    assert names["webhook_received"] == "Callback Recebido"
    assert words.HIGH_DEMAND.pt == "Fila com alta demanda, já já!"


def test_the_label_after_falhou_em_has_no_dots() -> None:
    assert words.failed_label("running", Language.PT) == "Processando com IA"


def test_a_step_of_a_newer_server_stays_its_code() -> None:
    assert words.step_name("polishing", Language.PT) == "polishing"
    assert words.word(words.STATUSES, "sleeping", Language.EN) == "sleeping"


@pytest.mark.parametrize(("position", "shown"), [(1, "#1"), (1000, "#1000"), (1001, "1000+")])
def test_places_beyond_a_thousand_are_not_counted(position: int, shown: str) -> None:
    assert words.place(position) == shown


@pytest.mark.parametrize(
    ("position", "waited_s", "high"), [(1, 5, False), (2, 5, True), (1, 30, True)]
)
def test_a_long_wait_is_spoken_of(position: int, waited_s: float, high: bool) -> None:
    assert words.is_high_demand(position, waited_s) is high


def test_numbers_follow_the_language() -> None:
    assert words.number(1234567.5, Language.PT, 1) == "1.234.567,5"
    assert words.number(1234567.5, Language.EN, 1) == "1,234,567.5"


@pytest.mark.parametrize(
    ("count", "pt"), [(0, "0 bytes"), (1023, "1023 bytes"), (2113, "2,1 KB"), (5 * 2**30, "5,0 GB")]
)
def test_sizes_change_their_unit(count: int, pt: str) -> None:
    assert words.size(count, Language.PT) == pt
