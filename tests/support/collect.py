"""Collects what a run left behind, once everything has come to rest."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa_client.names import STATUS_NAMES, STEP_NAMES
from tests.support.provider_log import ProviderLog
from tests.support.queue_world import INVARIANTS
from tests.support.run_record import Attempt, Entry, Job, Kept, Run, Step
from tests.support.waiting import eventually
from tests.support.whole_stack import Rig

_AT_ONCE = 16
_LOUD = re.compile(r'"level": ?"(error|critical)"|^Traceback|PANIC:')
# What is still on its way: in the inbox, in the outbox, at the provider, between two services.
_UNSETTLED = """
    SELECT (SELECT count(*) FROM queue.jobs WHERE completed_at IS NULL) AS open_jobs,
           (SELECT count(*) FROM webhook.arrivals) AS arrivals,
           (SELECT count(*) FROM webhook.inbox) AS inbox,
           (SELECT count(*) FROM queue.outbox) AS outbox,
           (SELECT count(*) FROM queue.attempts
             WHERE next_poll_at IS NOT NULL OR results IS NOT NULL) AS open_attempts,
           (SELECT count(*) FROM observability.payloads p
             WHERE p.frame IS NULL AND p.blob_sha256 IS NULL
              AND NOT EXISTS (SELECT FROM observability.deliveries d
                               WHERE d.delivery_id = p.payload_id)) AS awaited,
           (SELECT count(*) FROM queue.jobs j LEFT JOIN observability.jobs o ON o.job_id = j.id
             WHERE o.through_seq IS DISTINCT FROM j.seq) AS behind"""
_JOBS = """
    SELECT j.id::text, j.user_id, j.tool, j.status, j.error_class, j.cost, j.enqueue_seq, j.seq,
           coalesce(j.failed_at_step, '') AS failed_at_step,
           ARRAY(SELECT e.seq FROM observability.events e
                  WHERE e.job_id = j.id ORDER BY e.seq) AS event_seqs
      FROM queue.jobs j ORDER BY j.enqueue_seq"""
_ATTEMPTS = """
    SELECT job_id::text, number, account, token_sha256, task_id, claimed_at, submitted_at,
           accepted_at
      FROM queue.attempts ORDER BY job_id, number"""
_LEDGER = """
    SELECT user_id, coalesce(job_id::text, '') AS job_id, kind, bucket, amount FROM queue.ledger"""
_BALANCES = "SELECT user_id, bucket, available, reserved FROM queue.balances"
_LIMITS = "SELECT name, run_s FROM queue.tools"


async def settled(rig: Rig, timeout_s: float = 60) -> ProviderLog:
    """Wait until nothing is on its way any more; return the provider's log."""
    seen: list[Any] = []

    async def is_settled() -> bool:
        log = ProviderLog(await rig.admin.log())
        (row,) = await rig.fetch(_UNSETTLED)
        seen[:] = [log, dict(row), log.untold()]
        return not any(row) and not seen[2]

    try:
        await eventually(is_settled, timeout_s)
    except TimeoutError:
        raise AssertionError(f"not settled after {timeout_s} s: {seen[1:]}") from None
    return ProviderLog(await rig.admin.log())


async def collect(rig: Rig, total: int) -> Run:
    """Return the run as it is when all has come to rest. `total`: our limit over all accounts."""
    log = await settled(rig)
    attempts = defaultdict(list)
    for row in await rig.fetch(_ATTEMPTS):
        facts = dict(row)
        attempts[facts.pop("job_id")].append(Attempt(**facts))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(facts: dict[str, Any]) -> Job:
        async with gate:
            return await _job(rig, facts, attempts[facts["id"]])

    rows = await rig.fetch(_JOBS)
    jobs = await asyncio.gather(*(read(dict(row)) for row in rows))
    balances = await rig.fetch(_BALANCES)
    limits = await rig.fetch(_LIMITS)
    return Run(
        jobs=jobs,
        ledger=[Entry(**dict(row)) for row in await rig.fetch(_LEDGER)],
        balances={
            (row["user_id"], row["bucket"]): (row["available"], row["reserved"]) for row in balances
        },
        log=log,
        slots=rig.slots,
        total=total,
        run_limits_s={row["name"]: row["run_s"] * rig.time_scale for row in limits},
    )


async def own_troubles(rig: Rig) -> list[str]:
    """Return what the queue's own tables contradict, and every error that a service logged."""
    # Events leave the outbox as they are told; the history itself is judged instead.
    checks = {name: query for name, query in INVARIANTS.items() if not name.startswith("events")}
    checks["an event was rejected"] = "SELECT * FROM queue.rejected_events"
    found = []
    for name, query in checks.items():
        found += [f"{name}: {dict(row)}" for row in (await rig.fetch(query))[:3]]
    return found + await asyncio.to_thread(_loud_lines, rig)


def _loud_lines(rig: Rig) -> list[str]:
    lines = [
        (file.name, line)
        for file in sorted(rig.stack.settings.logs.glob("*.log"))
        for line in file.read_text(errors="replace").splitlines()
    ]
    return [f"{name}: {line}" for name, line in lines if _LOUD.search(line)]


async def _job(rig: Rig, facts: dict[str, Any], attempts: Iterable[Attempt]) -> Job:
    trail = await rig.client.trail.get_trail(facts["id"])
    summary = trail.job
    infos = [info for info in trail.payloads if info.kind == event_pb2.PAYLOAD_KIND_CALLBACK]
    facts["event_seqs"] = tuple(facts["event_seqs"])
    return Job(
        **facts,
        through_seq=trail.through_seq,
        shown=(
            STATUS_NAMES[summary.status],
            summary.error_class,
            STEP_NAMES[summary.failed_at_step],
        ),
        steps=tuple(_step(step) for step in trail.steps),
        attempts=tuple(attempts),
        files=tuple([await _digest(rig, output.url) for output in summary.outputs]),
        callbacks=tuple([await _kept(rig, facts["id"], info) for info in infos]),
    )


def _step(step: trail_pb2.StepRecord) -> Step:
    return Step(name=STEP_NAMES[step.step], at=step.timestamp.ToDatetime(UTC), attempt=step.attempt)


async def _kept(rig: Rig, job_id: str, info: event_pb2.PayloadInfo) -> Kept:
    payload = await rig.client.trail.get_payload(info.payload_id, job_id=job_id)
    return Kept(
        body=payload.body,
        sha256=payload.info.sha256.hex(),
        size=payload.info.bytes,
        masked=tuple((span.start, span.end) for span in payload.info.masked),
    )


async def _digest(rig: Rig, url: str) -> str:
    """Fetch an output as a user would; return the digest of its bytes."""
    async with rig.http.get(url) as reply:
        body = await reply.read()
        assert reply.status == 200, (reply.status, url)
    return hashlib.sha256(body).hexdigest()
