"""How a job ended, as a card: what failed, where, whose side, what now, and the money."""

from __future__ import annotations

from rich.text import Text

from etapa.observability.v1 import trail_pb2
from etapa_client.names import RETRY_NAMES, SIDE_NAMES
from etapa_client.words import RETRIES, SIDES, UNKNOWN, Language, Words, failed_label
from services.cli.layout import BAD, BOLD, DIM, clean, columns, one_line

_TITLE = Words("Falhou em: {label} ({step})", "Failed at: {label} ({step})")
_CLASS = Words("Classe", "Class")
_SIDE = Words("Lado", "Side")
_ADVICE = Words("Conselho", "Advice")
_RETRY = Words("Tentar de novo", "Try again")
_MONEY = Words("Créditos", "Credits")
_EVIDENCE = Words("Prova", "Evidence")
_WORDS = Words("Palavras do provedor", "The provider's words")
_SAID = Words("Mensagem", "Message")
_NO_VERDICT = Words("o veredito ainda não chegou", "the verdict has not arrived yet")
_NOT_CHARGED = Words("nada foi cobrado", "nothing was charged")
_RETURNED = Words("{returned} devolvidos de {charged}", "{returned} of {charged} returned")
_KEPT = Words("{captured} cobrados de {charged}", "{captured} of {charged} captured")
_OPEN = Words("{charged} reservados", "{charged} reserved")


def failure_card(
    verdict: trail_pb2.Verdict, failed_at_step: str, error_message: str, language: Language
) -> list[Text]:
    """Return the lines that answer where, why, whose side, what now, and what it cost."""
    label = failed_label(failed_at_step, language)
    title = _TITLE.to(language, label=label, step=failed_at_step)
    lines = [Text(f"✖ {title}", style=f"{BOLD} {BAD}")]
    is_provider = bool(verdict.provider_words)
    said = verdict.provider_words or error_message
    if said:
        lines.append(Text(f"  {(_WORDS if is_provider else _SAID).to(language)}:"))
        lines += [Text(f"    {part}", style=BAD) for part in clean(said).splitlines()]
    if not verdict.error_class:  # on its way: no side, no money is claimed before it is here
        return [*lines, Text(f"  {_NO_VERDICT.to(language)}", style=DIM)]
    rows = [
        (f"{_CLASS.to(language)}:", Text(clean(verdict.error_class), style=BOLD)),
        (f"{_SIDE.to(language)}:", Text(side_text(verdict, language))),
        ("", Text(_local(verdict.message, language))),
        (f"{_ADVICE.to(language)}:", Text(_local(verdict.advice, language), style=BOLD)),
        (f"{_RETRY.to(language)}:", Text(retry_text(verdict, language))),
        (f"{_MONEY.to(language)}:", Text(money_text(verdict, language))),
        (f"{_EVIDENCE.to(language)}:", Text(_evidence(verdict))),
    ]
    return [*lines, *columns([row for row in rows if row[1].plain])]


def side_text(verdict: trail_pb2.Verdict, language: Language) -> str:
    """Return whose side the cause is on, with its code."""
    name = SIDE_NAMES.get(verdict.side, "")
    return f"{SIDES[name].to(language)} ({name})" if name in SIDES else UNKNOWN.to(language)


def retry_text(verdict: trail_pb2.Verdict, language: Language) -> str:
    """Return whether trying again is worth it."""
    return RETRIES.get(RETRY_NAMES.get(verdict.retry, ""), UNKNOWN).to(language)


def money_text(verdict: trail_pb2.Verdict, language: Language) -> str:
    """Return what became of the credits."""
    charged = verdict.charged
    if not charged:
        return _NOT_CHARGED.to(language)
    if verdict.returned:
        return _RETURNED.to(language, returned=verdict.returned, charged=charged)
    if verdict.captured:
        return _KEPT.to(language, captured=verdict.captured, charged=charged)
    return _OPEN.to(language, charged=charged)


def _local(text: trail_pb2.Text, language: Language) -> str:
    return one_line(text.pt if language is Language.PT else text.en)


def _evidence(verdict: trail_pb2.Verdict) -> str:
    return one_line(f"{verdict.evidence_payload_id} {verdict.evidence_path}")
