"""Credits beside jobs: balances, grants, and the list of entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.queue import store, store_ledger
from services.queue.domain import BUCKETS, LedgerEntry, LedgerKind, RequestIdReusedError
from services.queue.store_ledger import Balance, LedgerFilter
from services.runtime.batch import Batcher
from services.runtime.db import Pool, transaction
from services.runtime.ids import new_id
from services.runtime.page import make_token, read_token

DEFAULT_BUCKET = "lifetime"


@dataclass(frozen=True, slots=True)
class Grant:
    """A checked wish to add credits."""

    request_id: str
    user_id: str
    bucket: str
    amount: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The entry of a grant, new or found again, and what the user may spend after it."""

    entry: LedgerEntry
    available: int


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Entries, newest first; `next_token` is empty on the last page."""

    entries: Sequence[LedgerEntry]
    next_token: str


class Ledger:
    """Balances and entries. Concurrent grants are committed together."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self._grants: Batcher[Grant, Granted] = Batcher(self._grant_all, name="grants")

    async def balances(self, user_id: str) -> Sequence[Balance]:
        """Return a user's balances in spending order; none for a user never seen."""
        async with self._pool.acquire() as conn:
            return await store_ledger.read_user_balances(conn, user_id)

    async def grant(self, grant: Grant) -> Granted:
        """Add credits. Idempotent by request id; raises `RequestIdReusedError`."""
        return await self._grants.submit(grant)

    async def list_entries(self, wanted: LedgerFilter, size: int, token: str) -> LedgerPage:
        """Return one page, newest first. Raises `BadPageTokenError`."""
        below = read_token(token, wanted)
        async with self._pool.acquire() as conn:
            if wanted.job_id is not None:
                found = await store_ledger.list_ledger_of_job(
                    conn, wanted.job_id, wanted.user_id, below, size + 1
                )
            else:
                found = await store_ledger.list_ledger_of_user(
                    conn, wanted.user_id, below, size + 1
                )
        has_more = len(found) > size
        entries = found[:size]
        return LedgerPage(entries, make_token(entries[-1].entry_id, wanted) if has_more else "")

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._grants.drain()

    async def _grant_all(self, grants: Sequence[Grant]) -> list[Granted | Exception]:
        users = {grant.user_id for grant in grants}
        async with transaction(self._pool) as conn:
            await store.ensure_users(conn, users)
            await store.lock_users(conn, users)
            known = await store_ledger.find_grants(
                conn, [(grant.user_id, grant.request_id) for grant in grants]
            )
            balances = await store.read_balances(conn, users)
            now = self._clock()
            new: list[LedgerEntry] = []
            results = [_book(grant, known, balances, new, now) for grant in grants]
            if new:
                await store_ledger.write_grants(conn, new)
        return results


def _book(
    grant: Grant,
    known: dict[tuple[str, str], LedgerEntry],
    balances: dict[str, dict[str, int]],
    new: list[LedgerEntry],
    now: datetime,
) -> Granted | Exception:
    """Find or make the entry of a grant, so that the next grant of the batch sees it."""
    assert grant.bucket in BUCKETS, grant.bucket  # noqa: S101 - the servicer has checked it
    key = (grant.user_id, grant.request_id)
    entry = known.get(key)
    buckets = balances.setdefault(grant.user_id, {})
    if entry is None:
        entry = known[key] = _entry(grant, now)
        new.append(entry)
        buckets[grant.bucket] = buckets.get(grant.bucket, 0) + grant.amount
    elif (entry.bucket, entry.amount) != (grant.bucket, grant.amount):
        return RequestIdReusedError(grant.request_id, "bucket or amount")
    return Granted(entry, sum(buckets.values()))


def _entry(grant: Grant, now: datetime) -> LedgerEntry:
    return LedgerEntry(
        entry_id=new_id(),
        user_id=grant.user_id,
        kind=LedgerKind.GRANT,
        bucket=grant.bucket,
        amount=grant.amount,
        created_at=now,
        request_id=grant.request_id,
    )
