"""The words for a job in both languages, Portuguese (Brazil) first: steps, statuses, sides, sizes.

Whoever shows a job says the same of it; layout is each front end's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

_KIB = 1024


class Language(StrEnum):
    """What a person reads. Portuguese is the default."""

    PT = "pt"
    EN = "en"

    @property
    def tag(self) -> str:
        """Return the tag for `lang=` and for the browser's own formats."""
        return "pt-BR" if self is Language.PT else "en"


class Words(NamedTuple):
    """One text in both languages."""

    pt: str
    en: str

    def to(self, language: Language, **facts: object) -> str:
        """Return the text, with the facts in their places."""
        text = self.pt if language is Language.PT else self.en
        return text.format(**facts) if facts else text


class StepWords(NamedTuple):
    """How a step is called on the timeline, and while it goes on."""

    name: Words
    live: Words


# The plan's words, to the letter.
STEPS: Mapping[str, StepWords] = {
    "upload": StepWords(
        Words("Upload de Imagem", "Image upload"), Words("Enviando imagem...", "Sending image...")
    ),
    "insert": StepWords(
        Words("Criando Job", "Creating job"), Words("Preparando...", "Preparing...")
    ),
    "credits": StepWords(
        Words("Verificando Créditos", "Checking credits"),
        Words("Verificando créditos...", "Checking credits..."),
    ),
    "queue_check": StepWords(
        Words("Verificando Fila", "Checking queue"),
        Words("Verificando fila...", "Checking queue..."),
    ),
    "queued": StepWords(
        Words("Aguardando na Fila", "Waiting in queue"),
        Words("Aguardando na fila", "Waiting in queue"),
    ),
    "starting": StepWords(
        Words("Iniciando Processamento", "Starting"),
        Words("Iniciando processamento...", "Starting..."),
    ),
    "running": StepWords(
        Words("Processando", "Processing"), Words("Processando com IA...", "Processing with AI...")
    ),
    "webhook_received": StepWords(
        Words("Callback Recebido", "Callback received"), Words("Finalizando...", "Finishing...")
    ),
    "completed": StepWords(Words("Concluído", "Completed"), Words("Concluído!", "Completed!")),
    "failed": StepWords(
        Words("Falhou", "Failed"), Words("Erro no processamento", "Processing error")
    ),
    "cancelled": StepWords(Words("Cancelado", "Cancelled"), Words("Cancelado", "Cancelled")),
}
# Where the time goes to somebody else: the second tone of a timeline.
PROVIDER_STEPS = frozenset({"starting", "running"})

STATUSES: Mapping[str, Words] = {
    "pending": Words("recebido", "received"),
    "queued": Words("na fila", "queued"),
    "starting": Words("iniciando", "starting"),
    "running": Words("processando", "running"),
    "completed": Words("concluído", "completed"),
    "failed": Words("falhou", "failed"),
    "cancelled": Words("cancelado", "cancelled"),
}
# The statuses that never change any more; steps of the same names end a timeline.
FINAL = frozenset({"completed", "failed", "cancelled"})

SIDES: Mapping[str, Words] = {
    "user": Words("pedido ou saldo", "request or balance"),
    "configuration": Words("nossa configuração", "our configuration"),
    "account": Words("nossa conta no provedor", "our provider account"),
    "provider": Words("provedor", "provider"),
    "us": Words("Etapa", "Etapa"),
}
UNKNOWN = Words("desconhecido", "unknown")

RETRIES: Mapping[str, Words] = {
    "no": Words("repetir igual não resolve", "the same request fails again"),
    "as_is": Words("repetir pode dar certo", "the same request may work"),
    "changed": Words("repita mudando o pedido", "retry with a change"),
}

# The plan's consolation for who waits, from this place in the queue on, or after this long.
HIGH_DEMAND = Words("Fila com alta demanda, já já!", "The queue is busy, almost there!")
HIGH_DEMAND_POSITION = 2
HIGH_DEMAND_S = 30.0
_MOST_POSITION = 1000


def step_name(step: str, language: Language) -> str:
    """Return a step's name on the timeline; a step of a newer server stays its code."""
    words = STEPS.get(step)
    return words.name.to(language) if words else step


def live_label(step: str, language: Language) -> str:
    """Return what a step is called while it goes on."""
    words = STEPS.get(step)
    return words.live.to(language) if words else step


def failed_label(step: str, language: Language) -> str:
    """Return a step's label as it stands after "Falhou em:"."""
    return live_label(step, language).rstrip(".!")


def word(table: Mapping[str, Words], key: str, language: Language) -> str:
    """Return a word of one of the tables; what a newer server says stays as it is."""
    found = table.get(key)
    return found.to(language) if found else key


def place(position: int) -> str:
    """Return a place in the queue: exact up to 1,000, `1000+` beyond."""
    return f"#{position}" if position <= _MOST_POSITION else f"{_MOST_POSITION}+"


def is_high_demand(position: int, waited_s: float) -> bool:
    """Tell whether a wait in the queue is long enough to be spoken of."""
    return position >= HIGH_DEMAND_POSITION or waited_s >= HIGH_DEMAND_S


def number(value: float, language: Language, digits: int = 0) -> str:
    """Return a number with the language's own marks.

    >>> number(1234.5, Language.PT, 1)
    '1.234,5'
    """
    text = f"{value:,.{digits}f}"
    if language is Language.EN:
        return text
    return text.translate(str.maketrans(",.", ".,"))


def size(count: int, language: Language) -> str:
    """Return a number of bytes: `812 bytes`, `2,1 KB`, `3,4 MB`; a KB is 1024 bytes.

    >>> size(15 * 1024 * 1024, Language.EN)
    '15.0 MB'
    """
    if count < _KIB:
        return f"{count} bytes"
    value = float(count)
    for unit in ("KB", "MB", "GB"):
        value /= _KIB
        if value < 999.5 or unit == "GB":
            break
    return f"{number(value, language, 1 if value < 100 else 0)} {unit}"
