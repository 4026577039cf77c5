"""The queue's queries on balances and the ledger, but for what transitions write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from services.queue.domain import LedgerEntry, LedgerKind
from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class Balance:
    """One bucket of a user's credits."""

    bucket: str
    available: int
    reserved: int


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Whose entries, or which job's; at least one is given."""

    user_id: str = ""
    job_id: UUID | None = None


async def read_user_balances(conn: Connection, user_id: str) -> list[Balance]:
    """Return a user's balances in the order in which they are spent; none for an unknown user."""
    rows = await conn.fetch(_SQL["read_user_balances"], user_id)
    return [Balance(row["bucket"], row["available"], row["reserved"]) for row in rows]


async def find_grants(
    conn: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], LedgerEntry]:
    """Return earlier grants by (user, request id); the users must be locked."""
    users, requests = [user for user, _ in keys], [request for _, request in keys]
    rows = await conn.fetch(_SQL["find_grants"], users, requests)
    return {
        (row["user_id"], row["request_id"]): LedgerEntry(
            entry_id=row["entry_id"],
            user_id=row["user_id"],
            kind=LedgerKind.GRANT,
            bucket=row["bucket"],
            amount=row["amount"],
            created_at=row["created_at"],
            request_id=row["request_id"],
        )
        for row in rows
    }


async def write_grants(conn: Connection, grants: Sequence[LedgerEntry]) -> None:
    """Write grants and raise the balances; the users must be locked."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for grant in grants:
        sums[grant.user_id, grant.bucket] += grant.amount
    raised = sorted(sums)
    await conn.execute(
        _SQL["write_grants"],
        [grant.entry_id for grant in grants],
        [grant.user_id for grant in grants],
        [grant.request_id for grant in grants],
        [grant.bucket for grant in grants],
        [grant.amount for grant in grants],
        [grant.created_at for grant in grants],
        [user for user, _ in raised],
        [bucket for _, bucket in raised],
        [sums[key] for key in raised],
    )


async def list_ledger_of_user(
    conn: Connection, user_id: str, below: UUID, limit: int
) -> list[LedgerEntry]:
    """Return a user's entries below an entry id, newest first."""
    rows = await conn.fetch(_SQL["list_ledger_of_user"], below, limit, user_id)
    return [_entry(row) for row in rows]


async def list_ledger_of_job(
    conn: Connection, job_id: UUID, user_id: str, below: UUID, limit: int
) -> list[LedgerEntry]:
    """Return a job's entries below an entry id, newest first; of one user where given."""
    rows = await conn.fetch(_SQL["list_ledger_of_job"], below, limit, user_id or None, job_id)
    return [_entry(row) for row in rows]


def _entry(row: Record) -> LedgerEntry:
    return LedgerEntry(**{**dict(row), "kind": LedgerKind(row["kind"])})
