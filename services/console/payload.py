"""A raw payload as it is shown: formatted where it is JSON, raw always, masked ranges marked."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa_client.names import PAYLOAD_NAMES
from services.console.json_lines import Line, lines_of, marked

SHOWN_BYTES = 256 * 1024
KINDS = ("request", "response", "callback")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the raw text; masked where a secret stood."""

    text: str
    is_masked: bool


@dataclass(frozen=True, slots=True)
class PayloadView:
    """What the evidence panel shows."""

    info: event_pb2.PayloadInfo
    kind: str
    lines: tuple[Line, ...]
    proof: int
    segments: tuple[Segment, ...]
    is_binary: bool
    is_cut: bool


def payload_view(answer: trail_pb2.GetPayloadResponse, evidence_path: str = "") -> PayloadView:
    """Return the view of a payload; `evidence_path` marks its proof."""
    shown = answer.body[:SHOWN_BYTES]
    is_cut = len(answer.body) > len(shown)
    is_binary = _is_binary(shown, is_cut)
    lines = [] if is_cut or is_binary else lines_of(shown.decode("utf-8", "replace")) or []
    return PayloadView(
        info=answer.info,
        kind=PAYLOAD_NAMES.get(answer.info.kind, ""),
        lines=tuple(lines),
        proof=marked(lines, evidence_path),
        segments=() if is_binary else segments(shown, answer.info),
        is_binary=is_binary,
        is_cut=is_cut,
    )


def segments(body: bytes, info: event_pb2.PayloadInfo) -> tuple[Segment, ...]:
    """Return the body as text, cut where masking begins and ends."""
    found: list[Segment] = []
    at = 0
    for span in info.masked:
        start, end = max(int(span.start), at), min(int(span.end), len(body))
        if start >= end:
            continue
        found += [_segment(body[at:start], False), _segment(body[start:end], True)]
        at = end
    found.append(_segment(body[at:], False))
    return tuple(segment for segment in found if segment.text)


def chosen(payloads: list[event_pb2.PayloadInfo], evidence_id: str) -> event_pb2.PayloadInfo | None:
    """Return the payload to be shown first: the proof, else what decided, else the last."""
    proofs = [info for info in payloads if info.payload_id == evidence_id]
    decisive = [info for info in payloads if info.deciding]
    order = proofs or decisive[-1:] or payloads[-1:]
    return order[0] if order else None


def _segment(piece: bytes, is_masked: bool) -> Segment:
    return Segment(piece.decode("utf-8", "replace"), is_masked)


def _is_binary(body: bytes, is_cut: bool) -> bool:
    if b"\0" in body:
        return True
    try:
        # A cut may fall into a character, which proves nothing.
        codecs.getincrementaldecoder("utf-8")().decode(body, final=not is_cut)
    except UnicodeDecodeError:
        return True
    return False
