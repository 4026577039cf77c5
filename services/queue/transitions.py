"""Every change of status, batched: lock, read, decide, write in one statement, commit.

What the decision is lies in `machine.py`; who wants it, in the loops and the servicer. The
commits are announced to whoever listens, after they happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec import structs

from services.queue import store
from services.queue.command import Command
from services.queue.domain import Change, JobNotFoundError, JobState
from services.queue.machine import decide
from services.queue.policy import Policy
from services.runtime.batch import Batcher
from services.runtime.db import Connection, Pool, transaction
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.log import get_log

_log = get_log(__name__)
Listener = Callable[[Sequence[Change]], None]
# The least rest of a loop that found much to do, so that its next batch holds more: a batch costs
# several round trips to the database, whatever its size. Who found one thing alone never rests.
REST_S = 0.01


class Transitions:
    """Runs commands against jobs; one batch at a time, each committed before it answers."""

    def __init__(self, pool: Pool, policy: Policy, clock: Callable[[], datetime]) -> None:
        self.pool = pool
        self.policy = policy
        self.clock = clock
        self._listeners: list[Listener] = []
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

    async def _run(self, commands: Sequence[Command]) -> list[Change | Exception]:
        async with transaction(self.pool) as conn:
            results, changes = await self.apply(conn, commands)
        self.announce(changes)
        return results

    async def apply(
        self, conn: Connection, commands: Sequence[Command]
    ) -> tuple[list[Change | Exception], list[Change]]:
        """Decide and write commands in the caller's transaction; several a job are folded.

        Returns one result a command, and the merged changes to announce after the commit.
        """
        jobs = await store.lock_jobs(conn, (command.job_id for command in commands))
        now = self.clock()
        results: list[Change | Exception] = []
        for command in commands:
            result = self._decide(jobs.get(command.job_id), command, now)
            if isinstance(result, Change):
                jobs[command.job_id] = result.after
            results.append(result)
        changes = merge_changes(r for r in results if isinstance(r, Change))
        await write(conn, changes, now)
        return results, changes

    def _decide(self, job: JobState | None, command: Command, now: datetime) -> Change | Exception:
        if job is None:
            return JobNotFoundError(str(command.job_id))
        try:
            return decide(job, command, now, self.policy)
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
        account_effect=second.account_effect or first.account_effect,
    )


async def write(conn: Connection, changes: Sequence[Change], now: datetime) -> None:
    """Write changes of locked jobs, locking first the users whose money or count moves."""
    if not changes:
        return
    users = {c.after.user_id for c in changes if c.entries or c.ends_job}
    if users:
        await store.lock_users(conn, users)
    await store.write_changes(conn, changes, now)


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


class Hint:
    """Wakes a loop. A hint only: whoever waits for it also looks by itself now and then."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Say that there may be something to do."""
        self._event.set()

    def clear(self) -> None:
        """Forget hints so far: a look that begins now sees what they were about."""
        self._event.clear()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next hint, or after the time; a hint given meanwhile counts."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()
