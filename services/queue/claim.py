"""Claims: the jobs that wait longest get the slots that are open, under the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from services.queue import start, store
from services.queue.crew import Crew, Seats
from services.queue.domain import Change, JobState, JobStatus, Submission
from services.queue.launch import Launch, Launcher
from services.queue.store import OpenSlot, Work
from services.queue.store_intake import EntranceFacts
from services.queue.transitions import Transitions, merge_changes
from services.runtime.db import transaction
from services.runtime.ids import new_token, token_hash


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that this process may now start. Only here is the callback token known.

    With a `launch` its "submitting" is committed already.
    """

    work: Work
    token: str
    launch: Launch | None = None


class Claims:
    """Gives slots to jobs, and commits with the claim whatever of the start needs no waiting."""

    def __init__(self, transitions: Transitions, launcher: Launcher, global_limit: int) -> None:
        self.transitions = transitions
        self.global_limit = global_limit
        self._launcher = launcher

    async def claim(
        self,
        job: JobState,
        slot: OpenSlot,
        submission: Submission,
        now: datetime,
        previous_traceparent: str = "",
    ) -> tuple[Change, Claimed]:
        """Decide one claim: the change to be written, and what may be started after the commit."""
        policy, token = self.transitions.policy, new_token()
        change = start.claim(
            job, slot.account, slot.slot, token_hash(token), submission.webapp_id, now, policy
        )
        work = _work(change.after, slot, submission, previous_traceparent)
        prepared = await self._launcher.prepare(work, token)
        if prepared is None:
            return change, Claimed(work, token)
        launch, begin = prepared
        begun = start.begin_start(change.after, begin, now, policy)
        [merged] = merge_changes([change, begun])
        return merged, Claimed(work, token, launch)

    async def claim_batch(self, limit: int) -> list[Claimed]:
        """Claim up to `limit` jobs, first in first out, and commit it. Empty: none may start."""
        transitions = self.transitions
        async with transaction(transitions.pool) as conn:
            await store.lock_gate(conn)
            now = transitions.clock()
            found = await store.find_claims(conn, now, limit, self.global_limit)
            if not found:
                return []
            jobs = await store.lock_jobs(conn, (each.job_id for each in found))
            # Between the look and the lock a job may have been cancelled: its slot waits a turn.
            made = [
                await self.claim(
                    jobs[each.job_id], each.slot, each.submission, now, each.previous_traceparent
                )
                for each in found
                if jobs[each.job_id].status is JobStatus.QUEUED
            ]
            changes = [change for change, _ in made]
            if changes:
                await store.write_changes(conn, changes, now)
        transitions.announce(changes)
        return [claimed for _, claimed in made]


@dataclass(slots=True)
class Entrance:
    """Claims for jobs as they join the queue, where nobody waits before them. The gate is held."""

    claims: Claims | None = None
    seats: Seats[Claimed] = field(default_factory=lambda: Seats(0))

    @property
    def room(self) -> int:
        """How many jobs may start at most."""
        return self.seats.room

    async def claim(
        self, joined: Sequence[Change], met: EntranceFacts, now: datetime
    ) -> list[Change]:
        """Return the claims of those of `joined` that start at once, in the order of the queue.

        `met` is what the first of them met.
        """
        if self.claims is None:
            return []
        paused = met.queue.paused_tools
        starting = [
            c for c in joined if c.after.status is JobStatus.QUEUED and c.after.tool not in paused
        ]
        changes = []
        for change, slot in zip(starting, met.slots, strict=False):
            if change.submission is None:
                raise AssertionError(f"job {change.after.id} joined the queue without submission")
            claim, claimed = await self.claims.claim(change.after, slot, change.submission, now)
            changes.append(claim)
            self.seats.items.append(claimed)
        return changes


class Entrances:
    """Opens an entrance for each transaction in which jobs join; closed by default."""

    def __init__(self, claims: Claims | None = None, crew: Crew[Claimed] | None = None) -> None:
        self._claims = claims
        self._crew = crew

    @contextmanager
    def open(self, jobs: int) -> Iterator[Entrance]:
        """Set room aside for up to `jobs` starts; they begin when the block ends without error."""
        if self._crew is None:
            yield Entrance()
            return
        with self._crew.seats(jobs) as seats:
            yield Entrance(self._claims, seats)


def _work(job: JobState, slot: OpenSlot, submission: Submission, previous_traceparent: str) -> Work:
    attempt = job.current
    if attempt is None:
        raise AssertionError(f"job {job.id} was claimed without an attempt")
    return Work(
        job_id=job.id,
        attempt=attempt.number,
        tool=job.tool,
        user_id=job.user_id,
        submission=submission,
        instance_type=job.instance_type or submission.instance_type,
        traceparent=job.traceparent,
        start_traceparent=attempt.traceparent,
        previous_traceparent=previous_traceparent,
        callback_traceparent="",
        deadline_at=job.deadline_at,
        account=slot.account,
        base_url=slot.base_url,
        api_key=slot.api_key,
        token_sha256=attempt.token_sha256,
        task_id=attempt.task_id,
        results=attempt.results,
        stop_for=attempt.stop_for,
        stop_asked_at=attempt.stop_asked_at,
        callbacks=attempt.callbacks,
        accepted_at=attempt.accepted_at,
    )
