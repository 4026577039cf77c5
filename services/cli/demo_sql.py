"""Shows the plan's SQL at work: the statement as it stands, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import asyncpg
from rich.text import Text

from services.cli.layout import BOLD, DIM, columns, one_line
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)
_SHOWN_CHARS = 160
_TIMEOUT_S = 10


def statement_for(job_id: str) -> str:
    """Return the plan's statement on one job on one line, ready to be pasted into psql."""
    lines = _SQL["job_story"].splitlines()
    text = " ".join(line.strip() for line in lines if not line.startswith("--"))
    return text.replace("$1", f"'{UUID(job_id)}'").strip()


async def story_rows(database_url: str, job_id: str) -> tuple[list[Text], dict[str, str]]:
    """Run the statement as it stands; return the record as lines, and its columns as text."""
    connection = await asyncpg.connect(database_url, timeout=_TIMEOUT_S)
    try:
        record = await connection.fetchrow(statement_for(job_id), timeout=_TIMEOUT_S)
    finally:
        await connection.close()
    found = {} if record is None else {name: _text(value) for name, value in record.items()}
    return list(_lines(found)), found


def _lines(found: dict[str, str]) -> Iterator[Text]:
    rows = [(Text(name, style=BOLD), Text("│", style=DIM), _short(found[name])) for name in found]
    yield from columns(rows)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _short(value: str) -> Text:
    shown = one_line(value)
    if len(shown) <= _SHOWN_CHARS:
        return Text(shown)
    return Text(shown[:_SHOWN_CHARS]).append(f" … ({len(value)})", style=DIM)
