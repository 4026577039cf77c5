"""How values are written: durations, times, ids. Pure; templates use them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf import timestamp_pb2

from etapa_client.words import Language, number

_SHORT_ID_CHARS = 13
_MINUTE_S, _HOUR_S = 60, 3600


def duration(seconds: float | None, language: Language) -> str:
    """Return a duration: `8 ms`, `1,1 s`, `3:12`, `1:02:03`; a dash where there is none."""
    if seconds is None:
        return "—"
    if seconds < 0.9995:
        return f"{max(round(seconds * 1000), 0)} ms"
    if seconds < 59.95:
        return f"{number(seconds, language, 1)} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE_S)
    if whole < _HOUR_S:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def short_id(text: str) -> str:
    """Return an id so that it fits a cell: its first and its last characters."""
    return text if len(text) <= _SHORT_ID_CHARS else f"{text[:6]}…{text[-4:]}"


def moment(stamp: timestamp_pb2.Timestamp | None) -> datetime | None:
    """Return an aware time; None for one that is not set."""
    if stamp is None or not (stamp.seconds or stamp.nanos):
        return None
    return stamp.ToDatetime(tzinfo=UTC)


def clock(when: datetime | None, language: Language) -> str:
    """Return the time of day in UTC to the millisecond."""
    if when is None:
        return "—"
    text = f"{when.astimezone(UTC):%H:%M:%S}.{when.microsecond // 1000:03}"
    return text.replace(".", ",") if language is Language.PT else text


def day_and_time(when: datetime | None, language: Language) -> str:
    """Return date and time in UTC, with the zone."""
    if when is None:
        return "—"
    pattern = "%d/%m/%Y %H:%M:%S UTC" if language is Language.PT else "%Y-%m-%d %H:%M:%S UTC"
    return when.astimezone(UTC).strftime(pattern)


def iso(when: datetime | None) -> str:
    """Return the time for a `datetime` attribute."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else ""


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one to the other; None where either is missing."""
    if start is None or end is None:
        return None
    return max((end - start).total_seconds(), 0.0)
