"""The values of a job's whole story, as the job page and the modal show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etapa.observability.v1 import event_pb2
from etapa_client.names import PAYLOAD_NAMES, RETRY_NAMES, SIDE_NAMES
from etapa_client.trail import parsed
from etapa_client.words import Language
from services.console.card import Card, card_of
from services.console.payload import KINDS, chosen
from services.console.story import Story
from services.console.timeline import Row, Spans, rows_of, spans_of


@dataclass(frozen=True, slots=True)
class Details:
    """Everything but payload bodies."""

    card: Card
    rows: tuple[Row, ...]
    spans: Spans
    side: str
    retry: str
    account: str
    attempts: int
    coins: str
    callbacks: int
    payloads: Mapping[str, list[event_pb2.PayloadInfo]]
    first_payload: event_pb2.PayloadInfo | None
    inputs: Mapping[str, Any]

    @property
    def first_kind(self) -> str:
        """Return the tab that is open at first."""
        if self.first_payload is None:
            return KINDS[0]
        return PAYLOAD_NAMES.get(self.first_payload.kind, KINDS[0])


def details_of(story: Story, language: Language, now: datetime) -> Details:
    """Return the details of a job as it is at `now`."""
    trail, verdict = story.trail, story.verdict
    payloads = list(trail.payloads) if trail is not None else []
    by_kind = {
        kind: [info for info in payloads if PAYLOAD_NAMES.get(info.kind) == kind] for kind in KINDS
    }
    attempts = list(trail.attempts) if trail is not None else []
    accounts = [attempt.account for attempt in attempts if attempt.account]
    return Details(
        card=card_of(story, language, now),
        rows=rows_of(story, language, now),
        spans=spans_of(story, now),
        side=SIDE_NAMES.get(verdict.side, "") if verdict else "",
        retry=RETRY_NAMES.get(verdict.retry, "") if verdict else "",
        account=accounts[-1] if accounts else "",
        attempts=max(story.summary.attempt, len(attempts)),
        coins=", ".join(attempt.coins for attempt in attempts if attempt.coins),
        callbacks=len(by_kind["callback"]),
        payloads=by_kind,
        first_payload=chosen(payloads, verdict.evidence_payload_id if verdict else ""),
        inputs=_inputs(story),
    )


def _inputs(story: Story) -> Mapping[str, Any]:
    text = story.summary.input_json or (story.trail.job.input_json if story.trail else "")
    found = parsed(text) if text else {}
    return found if isinstance(found, dict) else {"_text": json.dumps(found)}
