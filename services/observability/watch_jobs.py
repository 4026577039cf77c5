"""Streams jobs that match: those that are, then each change; resumable from any cursor."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from services.observability.domain import CursorExpiredError
from services.observability.fold import Projection
from services.observability.job_feed import JobFeed, read_changed
from services.observability.store import feed, read
from services.observability.store.row import FeedPosition, JobFilter
from services.runtime.db import Pool
from services.runtime.errors import InvalidInputError

FIRST_JOBS = 200
MESSAGE_JOBS = 200
# A watcher that is further behind starts again, which is cheaper for everybody.
CATCH_UP_CHANGES = 20_000


class BadCursorError(InvalidInputError):
    """A cursor that is not ours."""

    reason = "INVALID_CURSOR"

    def __init__(self) -> None:
        super().__init__("cursor is not from a message of this stream: start without", "cursor")


@dataclass(frozen=True, slots=True)
class JobsMessage:
    """Jobs that are new or changed, none in a heartbeat; resume from `cursor`."""

    jobs: list[Projection]
    cursor: str


class JobsWatch:
    """One watcher of a list of jobs."""

    def __init__(
        self, pool: Pool, jobs: JobFeed, wanted: JobFilter, *, cursor: str, heartbeat_s: float
    ) -> None:
        self._pool = pool
        self._feed = jobs
        self._wanted = wanted
        self._heartbeat_s = heartbeat_s
        self._cursor = decode_cursor(cursor) if cursor else None

    async def messages(self) -> AsyncGenerator[JobsMessage, None]:
        """Yield messages. Raises `CursorExpiredError`."""
        async with self._pool.acquire() as conn:
            position = await feed.read_feed_position(conn)
        self._check(position)
        with self._feed.subscribe(self._wanted, position) as live:
            if self._cursor is None:
                self._cursor = position.cursor
                for message in self._messages(await self._read_first(), position.cursor):
                    yield message
            else:
                for message in await self._catch_up():
                    yield message
            while True:
                news = await live.next(self._heartbeat_s)
                if news is None:
                    for message in await self._catch_up():
                        yield message
                    continue
                for message in self._messages(*news):
                    yield message

    def _check(self, position: FeedPosition) -> None:
        if self._cursor is not None and not position.floor <= self._cursor <= position.next:
            raise CursorExpiredError

    async def _read_first(self) -> list[Projection]:
        async with self._pool.acquire() as conn:
            return await read.list_jobs(conn, self._wanted, None, FIRST_JOBS)

    async def _catch_up(self) -> list[JobsMessage]:
        """Return what changed since the cursor."""
        assert self._cursor is not None  # noqa: S101 - set before the first catch-up
        async with self._pool.acquire() as conn:
            position = await feed.read_feed_position(conn)
            self._check(position)
            changes = await feed.read_changes(conn, self._cursor, CATCH_UP_CHANGES)
            if len(changes) == CATCH_UP_CHANGES:
                raise CursorExpiredError
            jobs = await read_changed(conn, {job_id for _, job_id in changes})
        wanted = [job for job in jobs if self._wanted.admits(job)]
        return list(self._messages(wanted, position.cursor))

    def _messages(self, jobs: list[Projection], cursor: int) -> list[JobsMessage]:
        """Cut jobs into messages; only the last carries the new cursor."""
        old = self._cursor or cursor
        self._cursor = max(old, cursor)
        cuts = range(0, max(len(jobs), 1), MESSAGE_JOBS)
        return [
            JobsMessage(
                jobs[cut : cut + MESSAGE_JOBS],
                encode_cursor(self._cursor if cut == cuts[-1] else old),
            )
            for cut in cuts
        ]


def encode_cursor(xid: int) -> str:
    """Return a transaction id as an opaque cursor."""
    return base64.urlsafe_b64encode(b"c1:%d" % xid).decode()


def decode_cursor(cursor: str) -> int:
    """Return the transaction id of a cursor. Raises `BadCursorError`."""
    try:
        raw = base64.urlsafe_b64decode(cursor)
        if raw.startswith(b"c1:") and len(raw) <= 22:
            return int(raw[3:])
    except ValueError as error:
        raise BadCursorError from error
    raise BadCursorError
