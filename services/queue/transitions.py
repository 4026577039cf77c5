"""Every change of status, batched: lock, read, decide, write in one statement, commit.

What the decision is lies in `machine.py`; who wants it, in the loops and the servicer. The
commits are announced to whoever listens, after they happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import structs

from services.queue import store
from services.queue.command import Command
from services.queue.crew import Crew, Seats
from services.queue.domain import Change, JobNotFoundError, JobState, Phase
from services.queue.machine import decide
from services.queue.policy import Policy
from services.queue.store import Work
from services.runtime.batch import Batcher
from services.runtime.db import Connection, Pool, transaction
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.log import get_log

_log = get_log(__name__)
Listener = Callable[[Sequence[Change]], None]


class Transitions:
    """Runs commands against jobs; one batch at a time, each committed before it answers."""

    def __init__(self, pool: Pool, policy: Policy, clock: Callable[[], datetime]) -> None:
        self.pool = pool
        self.policy = policy
        self.clock = clock
        self._listeners: list[Listener] = []
        self._crew: Crew[Work] | None = None
        self._batcher: Batcher[Command, Change] = Batcher(
            self._run, name="transitions", key=lambda command: command.job_id
        )

    async def run(self, command: Command) -> Change:
        """Commit one command; return its change. Raises the domain's errors."""
        return await self._batcher.submit(command)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the changes of each commit, after it. It must not block.

        What it raises is logged and keeps nothing from happening.
        """
        self._listeners.append(listener)

    def announce(self, changes: Sequence[Change]) -> None:
        """Tell the listeners of changes that are committed."""
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                # It is committed: an error from here on must not make the batch run again.
                _log.exception("commit_not_told")

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._batcher.drain()

    def hand_polls_to(self, crew: Crew[Work]) -> None:
        """Let a crew ask about the attempts that commits make due, where it has room."""
        self._crew = crew

    @asynccontextmanager
    async def batch(self, size: int) -> AsyncIterator[Batch]:
        """Open a transaction for up to `size` commands; what it changed is told after it."""
        with self._seats(size) as seats:
            async with transaction(self.pool) as conn:
                batch = Batch(self, conn, seats)
                yield batch
        self.announce(batch.changes)

    async def _run(self, commands: Sequence[Command]) -> list[Change | Exception]:
        async with self.batch(len(commands)) as batch:
            return await batch.apply(commands)

    @contextmanager
    def _seats(self, size: int) -> Iterator[Seats[Work]]:
        if self._crew is None:
            yield Seats(0)
            return
        with self._crew.seats(size) as seats:
            yield seats


@dataclass(slots=True)
class Batch:
    """One transaction: commands are decided and written in it, and it takes the polls they make
    due.
    """

    transitions: Transitions
    conn: Connection
    seats: Seats[Work] = field(default_factory=lambda: Seats(0))
    changes: list[Change] = field(default_factory=list)

    async def apply(self, commands: Sequence[Command]) -> list[Change | Exception]:
        """Decide and write commands; several a job are folded. Returns one result a command."""
        conn, policy = self.conn, self.transitions.policy
        jobs = await store.lock_jobs(conn, (command.job_id for command in commands))
        now = self.transitions.clock()
        results: list[Change | Exception] = []
        for command in commands:
            result = _decide(jobs.get(command.job_id), command, now, policy)
            if isinstance(result, Change):
                jobs[command.job_id] = result.after
            results.append(result)
        changes = merge_changes(r for r in results if isinstance(r, Change))
        if changes:
            await self._write(changes, now)
        self.changes += changes
        return results

    async def _write(self, changes: Sequence[Change], now: datetime) -> None:
        """Write changes of locked jobs, locking first the users whose money or count moves."""
        users = {c.after.user_id for c in changes if c.entries or c.ends_job}
        if users:
            await store.lock_users(self.conn, users)
        due = [c for c in changes if _makes_due(c, now)][: self.seats.room]
        for change in due:
            change.takes_poll = True
        until = now + timedelta(seconds=self.transitions.policy.question_s)
        written = await store.write_changes(self.conn, changes, now, polling_until=until)
        for change in changes:
            change.is_awaited = change.frees_slot and written.is_awaited
        for change in due:
            change.takes_poll = change.after.id in written.polls
        if written.polls:
            attempts = [(c.after.id, c.after.attempt) for c in due if c.takes_poll]
            self.seats.items += await store.read_work(self.conn, attempts)


def _makes_due(change: Change, now: datetime) -> bool:
    attempt = change.after.current
    return (
        attempt is not None
        and attempt.phase is Phase.ACCEPTED
        and attempt.next_poll_at is not None
        and attempt.next_poll_at <= now
        and not change.poll_done
    )


def _decide(
    job: JobState | None, command: Command, now: datetime, policy: Policy
) -> Change | Exception:
    if job is None:
        return JobNotFoundError(str(command.job_id))
    try:
        return decide(job, command, now, policy)
    except EtapaError as error:
        return error


def merge_changes(changes: Iterable[Change]) -> list[Change]:
    """Join the changes of each job, in order, into one; drop those that write nothing."""
    merged: dict[object, Change] = {}
    for change in changes:
        key = change.after.id
        merged[key] = _join(merged[key], change) if key in merged else change
    return [change for change in merged.values() if change.events or change.attempt_changed]


def _join(first: Change, second: Change) -> Change:
    return structs.replace(
        second,
        before=first.before,
        events=[*first.events, *second.events],
        entries=[*first.entries, *second.entries],
        submission=second.submission or first.submission,
        outputs=second.outputs if second.outputs is not None else first.outputs,
        takes_slot=first.takes_slot or second.takes_slot,
        frees_slot=first.frees_slot or second.frees_slot,
        attempt_changed=first.attempt_changed or second.attempt_changed,
        poll_done=first.poll_done or second.poll_done,
        takes_poll=first.takes_poll or second.takes_poll,
        account_effect=second.account_effect or first.account_effect,
    )


async def persist(transitions: Transitions, command: Command) -> Change:
    """Commit what has happened outside, however long the database is away.

    Raises the domain's errors; a fact must not be lost because Postgres restarts.
    """
    wait_s = 0.1
    while True:
        try:
            return await transitions.run(command)
        except UnavailableError:
            _log.warning("commit_postponed", job_id=str(command.job_id))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)
