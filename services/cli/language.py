"""The two languages of the command line, and the words for a job's steps, statuses and sides."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from services.cli.errors import CliError

_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_NO_LANGUAGE = ("", "c", "posix")


class Language(StrEnum):
    """What a person reads. Portuguese is the default."""

    PT = "pt"
    EN = "en"


class Words(NamedTuple):
    """One text in both languages."""

    pt: str
    en: str

    def to(self, language: Language, **facts: object) -> str:
        """Return the text, with the facts in their places."""
        text = self.pt if language is Language.PT else self.en
        return text.format(**facts) if facts else text


class UnknownLanguageError(CliError):
    """There are texts in two languages only."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there are no texts in {wanted!r}: give --lang pt or --lang en")


def choose_language(wanted: str, env: Mapping[str, str]) -> Language:
    """Return the language of `--lang`, else of the locale, else Portuguese.

    >>> choose_language("", {"LANG": "en_GB.UTF-8"})
    <Language.EN: 'en'>
    """
    if wanted:
        name = wanted.replace("_", "-").lower().split("-")[0]
        if name not in tuple(Language):
            raise UnknownLanguageError(wanted)
        return Language(name)
    locale = next((env[name] for name in _VARIABLES if env.get(name)), "").lower()
    name = locale.split(".")[0].split("_")[0].split("@")[0]
    return Language.PT if name in (*_NO_LANGUAGE, "pt") else Language.EN


class StepWords(NamedTuple):
    """How a step is called on the timeline, and while it goes on."""

    name: Words
    live: Words


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
# Where the time goes to somebody else: the second tone of the timeline.
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
FINAL = frozenset({"completed", "failed", "cancelled"})

SIDES: Mapping[str, Words] = {
    "user": Words("do pedido ou do saldo", "the request or the balance"),
    "configuration": Words("da nossa configuração", "our configuration"),
    "account": Words("da nossa conta no provedor", "our account at the provider"),
    "provider": Words("do provedor", "the provider"),
    "us": Words("da Etapa", "Etapa itself"),
}
UNKNOWN = Words("desconhecido", "unknown")

RETRIES: Mapping[str, Words] = {
    "no": Words("não adianta: o mesmo pedido falha de novo", "no: the same request fails again"),
    "as_is": Words("vale a pena: o mesmo pedido pode dar certo", "yes: the same request may work"),
    "changed": Words(
        "vale a pena, mudando o que o conselho diz", "yes, when changed as the advice says"
    ),
}


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
