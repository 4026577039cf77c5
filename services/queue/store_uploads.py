"""The queue's queries on what accounts already have of our media."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)


async def find_uploads(
    conn: Connection, account: str, sha256s: Sequence[str], now: datetime
) -> dict[str, tuple[str, str]]:
    """Return (file name, download URL) of files that the account still has, by digest."""
    rows = await conn.fetch(_SQL["find_uploads"], account, list(sha256s), now)
    return {row["sha256"]: (row["file_name"], row["download_url"]) for row in rows}


async def keep_upload(
    conn: Connection,
    account: str,
    sha256: str,
    file_name: str,
    download_url: str,
    expires_at: datetime,
) -> None:
    """Remember an upload until it expires."""
    await conn.execute(_SQL["keep_upload"], account, sha256, file_name, download_url, expires_at)


async def forget_uploads(conn: Connection, account: str, sha256s: Sequence[str]) -> None:
    """Forget files that an account no longer has."""
    await conn.execute(_SQL["forget_uploads"], account, list(sha256s))
