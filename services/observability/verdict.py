"""Why a job failed, whose side it is on, what now, and what became of the money. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.observability.domain import LedgerChange
from services.observability.fold import Projection
from services.runninghub.verdicts import CLASSES, RetryWorth, Side, UserText, user_text


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. `side` and `retry` are None where this release knows no such class."""

    error_class: str
    side: Side | None
    retry: RetryWorth | None
    text_pt: UserText
    text_en: UserText
    charged: int
    returned: int
    captured: int
    evidence_payload_id: str
    evidence_path: str
    provider_words: str


def judge(
    job: Projection, ledger: Iterable[LedgerChange], *, provider_spoke: bool
) -> Verdict | None:
    """Return the verdict on a failed job; None for any other.

    `provider_spoke` says whether the evidence is something that the provider sent.
    """
    if job.failed_at_step is None:
        return None
    name = job.error_class or "unknown"
    failure = CLASSES.get(name)
    money = _sums(ledger)
    return Verdict(
        error_class=name,
        side=failure.side if failure else None,
        retry=failure.retry if failure else None,
        text_pt=user_text(name, "pt-BR"),
        text_en=user_text(name, "en"),
        charged=money["reserve"],
        returned=money["refund"],
        captured=money["capture"],
        evidence_payload_id=job.evidence_payload_id or "",
        evidence_path=job.evidence_path or "",
        provider_words=(job.error_message or "") if provider_spoke else "",
    )


def _sums(ledger: Iterable[LedgerChange]) -> dict[str, int]:
    sums = {"grant": 0, "reserve": 0, "capture": 0, "refund": 0}
    for change in ledger:
        sums[change.kind] += change.amount
    return sums
