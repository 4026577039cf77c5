"""Lines for a terminal or a pipe: aligned columns, times, durations, text from outside made safe.

Nothing here wraps or cuts: a piped line is as long as what it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf import timestamp_pb2
from rich.cells import cell_len
from rich.text import Text

from etapa_client.words import Language

OURS, PROVIDERS, GOOD, BAD, DIM, BOLD = "blue", "yellow", "green", "red", "dim", "bold"
_GAP = "  "


def clean(text: str) -> str:
    r"""Return text from outside without what a terminal would obey; line ends stay.

    >>> clean("red \x1b[31m")
    'red \\x1b[31m'
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else _escaped(letter) for letter in text
    )


def one_line(text: str) -> str:
    """Return text from outside on one line."""
    return clean(" ".join(text.split()))


def columns(rows: Iterable[Sequence[Text | str]], indent: int = 2) -> list[Text]:
    """Return the rows with their columns aligned; the last column ends each line."""
    cells = [[part if isinstance(part, Text) else Text(part) for part in row] for row in rows]
    widths: dict[int, int] = {}
    for row in cells:
        for index, cell in enumerate(row[:-1]):
            widths[index] = max(widths.get(index, 0), cell_len(cell.plain))
    return [_joined(row, widths, indent) for row in cells]


def moment(stamp: timestamp_pb2.Timestamp) -> datetime | None:
    """Return a proto's time in the local zone; None where it is unset."""
    if not stamp.seconds and not stamp.nanos:
        return None
    return datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9).astimezone()


def clock(stamp: timestamp_pb2.Timestamp, language: Language) -> str:
    """Return the local time of day with milliseconds."""
    when = moment(stamp)
    return decimal(when.strftime("%H:%M:%S.%f")[:-3], language) if when else "-"


def date_and_clock(stamp: timestamp_pb2.Timestamp) -> str:
    """Return a local time with its date and its distance from UTC."""
    when = moment(stamp)
    return when.strftime("%Y-%m-%d %H:%M:%S %z") if when else "-"


def seconds_between(
    start: timestamp_pb2.Timestamp, end: timestamp_pb2.Timestamp | None
) -> float | None:
    """Return the seconds from one time to another; None where one is unset."""
    if end is None or not start.seconds or not end.seconds:
        return None
    return (end.seconds - start.seconds) + (end.nanos - start.nanos) / 1e9


def duration(seconds: float | None, language: Language) -> str:
    """Return a length of time as people say it.

    >>> duration(0.0042, Language.EN), duration(72.5, Language.PT)
    ('4 ms', '1:12')
    """
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return decimal(f"{seconds:.1f} s", language)
    whole = int(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def decimal(number: str, language: Language) -> str:
    """Return a number with the language's decimal sign."""
    return number.replace(".", ",") if language is Language.PT else number


def details(facts: Mapping[str, Any]) -> str:
    """Return facts as `key=value` in their order; what holds spaces or structure as JSON."""
    return "  ".join(f"{clean(str(key))}={_value(value)}" for key, value in facts.items())


def _value(value: Any) -> str:
    if isinstance(value, str) and value and not any(letter in value for letter in ' "\n\t=,'):
        return clean(value)
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _escaped(letter: str) -> str:
    if letter == "\t":
        return " "
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _joined(row: Sequence[Text], widths: Mapping[int, int], indent: int) -> Text:
    line = Text(" " * indent)
    for index, cell in enumerate(row):
        line.append_text(cell)
        if index < len(row) - 1:
            line.append(" " * (widths[index] - cell_len(cell.plain)) + _GAP)
    line.rstrip()
    return line
