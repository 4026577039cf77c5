"""Claims: the jobs that wait longest get the slots that are open, under the gate."""

from __future__ import annotations

from dataclasses import dataclass

from services.queue import store
from services.queue.domain import JobStatus
from services.queue.start import claim
from services.queue.store import Work
from services.queue.transitions import Transitions
from services.runtime.db import transaction
from services.runtime.ids import new_token, token_hash


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that this process may now start. Only here is the callback token known."""

    work: Work
    token: str


async def claim_batch(transitions: Transitions, limit: int, global_limit: int) -> list[Claimed]:
    """Claim up to `limit` jobs, first in first out, and commit it. Empty: none may start now."""
    async with transaction(transitions.pool) as conn:
        await store.lock_gate(conn)
        now = transitions.clock()
        pairs = await store.find_claims(conn, now, limit, global_limit)
        if not pairs:
            return []
        jobs = await store.lock_jobs(conn, (pair.job_id for pair in pairs))
        tokens = {pair.job_id: new_token() for pair in pairs}
        # Between the look and the lock a job may have been cancelled: its slot waits a turn.
        changes = [
            claim(
                jobs[pair.job_id],
                pair.account,
                pair.slot,
                token_hash(tokens[pair.job_id]),
                pair.webapp_id,
                now,
                transitions.policy,
            )
            for pair in pairs
            if jobs[pair.job_id].status is JobStatus.QUEUED
        ]
        if changes:
            await store.write_changes(conn, changes, now)
        works = await store.read_work(conn, [(c.after.id, c.after.attempt) for c in changes])
    transitions.announce(changes)
    places = {pair.job_id: place for place, pair in enumerate(pairs)}
    works.sort(key=lambda work: places[work.job_id])
    return [Claimed(work, tokens[work.job_id]) for work in works]
