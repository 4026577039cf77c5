"""Judges a run of many jobs: what Etapa says of them against what the provider's log proves.

Pure. Every check returns complaints, one sentence each; a run without any is right.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

from services.runninghub.verdicts import CLASSES
from services.runtime.ids import token_hash
from tests.support.provider_log import Task
from tests.support.run_record import Attempt, Job, Kept, Run

_LETTERS = {
    "upload": "U",
    "insert": "I",
    "credits": "C",
    "queue_check": "K",
    "queued": "Q",
    "starting": "S",
    "running": "R",
    "webhook_received": "W",
    "completed": "D",
    "failed": "F",
    "cancelled": "X",
}
# Design §3: every way through the steps. An attempt that goes back into the queue was not
# started, or its verified failure is tried again.
_WAYS = re.compile(r"U([FX]|IC(F|KQ(S(RW)?Q)*([FX]|S([FX]|R([FX]|W[DFX])))))")
_LAST_LETTER = {"completed": "D", "failed": "F", "cancelled": "X"}
# What the steps end with, by where the cause of a failure lies.
_FAILED_WAYS = {
    "upload": "UF",
    "credits": "CF",
    "queued": "QF",
    "starting": "[SQ]F",
    "running": "RW?F",
    "webhook_received": "WF",
}


def complaints(run: Run) -> list[str]:
    """Return everything that is wrong with a run."""
    checks = (ends, payments, limits, order, money, callbacks, histories)
    return [f"{check.__name__}: {complaint}" for check in checks for complaint in check(run)]


def ends(run: Run) -> Iterator[str]:
    """Each job ended as its last task did; automatic attempts are those that its class allows."""
    tasks = tasks_by_job(run)
    for job in run.jobs:
        if job.error_class == "submit_unknown":
            yield from _unknown(run, job)
        else:
            yield from _ended_right(job, tasks[job.id])


def _ended_right(job: Job, tasks: Sequence[Task]) -> Iterator[str]:
    if not tasks:
        yield f"{job.id} is {job.status} {job.error_class}, and no task of it was ever accepted"
        return
    for retries, task in enumerate(tasks[:-1]):
        if task.status != "FAILED" or _retries_of(task) <= retries:
            yield f"{job.id} was started again after {task.status} {task.error_class}"
    last = tasks[-1]
    if not last.error_class and last.status == "SUCCESS":
        if (job.status, job.files) != ("completed", last.files):
            yield f"{job.id} is {job.status} with {job.files}; its task made {last.files}"
        return
    if last.status not in ("SUCCESS", "FAILED"):
        yield f"{job.id} is {job.status}, its last task is {last.status or 'open'}"
        return
    told = (job.status, job.error_class, job.failed_at_step)
    if told != ("failed", last.error_class, "running"):
        yield f"{job.id} is {told}; its last task failed with {last.error_class}"
    if last.status == "FAILED" and _retries_of(last) >= len(tasks):
        yield f"{job.id} was not tried again after {last.error_class}, start {len(tasks)}"


def _unknown(run: Run, job: Job) -> Iterator[str]:
    """`submit_unknown` needs: no reply committed, no callback before the run's deadline."""
    last = job.attempts[-1]
    if (job.status, job.failed_at_step) != ("failed", "starting"):
        yield f"{job.id} is {job.status} at {job.failed_at_step} with submit_unknown"
    if last.accepted_at is not None or last.submitted_at is None:
        yield f"{job.id} has submit_unknown though its start has a committed reply, or none began"
        return
    deadline = last.submitted_at + timedelta(seconds=run.run_limits_s[job.tool])
    for sent in run.log.deliveries:
        told = sent.delivered and token_hash(sent.token) == last.token_sha256
        if told and sent.wall_s < deadline.timestamp():
            yield f"{job.id} has submit_unknown though a callback came before its deadline"
            return


def payments(run: Run) -> Iterator[str]:
    """No start is accepted twice for a token, no job pays for two results, none is nobody's."""
    owners = owners_of(run)
    by_token = Counter(task.token for task in run.log.tasks)
    for task in run.log.tasks:
        owner = owners.get(token_hash(task.token))
        if by_token[task.token] > 1:
            yield f"the token of task {task.task_id} was accepted {by_token[task.token]} times"
        if owner is None:
            yield f"task {task.task_id} belongs to no attempt"
        elif owner[1].task_id not in ("", task.task_id):
            yield f"{owner[0].id} keeps task {owner[1].task_id} for {task.task_id}"
    for job_id, tasks in tasks_by_job(run).items():
        successes = [task.task_id for task in tasks if task.status == "SUCCESS"]
        if len(successes) > 1:
            yield f"{job_id} paid for {len(successes)} successes: {successes}"


def limits(run: Run) -> Iterator[str]:
    """At no instant of the provider's log were more tasks open than we have slots."""
    for key, most in run.log.peaks().items():
        allowed = run.slots.get(key, 0) if key else run.total
        if most > allowed:
            yield f"{most} tasks were open at once on {key or 'all accounts'}, allowed: {allowed}"


def order(run: Run) -> Iterator[str]:
    """Who joined the queue first was first claimed first."""
    claimed = sorted(
        (job.enqueue_seq, job.attempts[0].claimed_at, job.id) for job in run.jobs if job.attempts
    )
    for (_, before, first), (_, after, second) in pairwise(claimed):
        if after < before:
            yield f"{second} was claimed {before - after} before {first}, which joined first"
    places = [job.enqueue_seq for job in run.jobs]
    if len(set(places)) != len(places):
        yield "two jobs have the same enqueue_seq"


def money(run: Run) -> Iterator[str]:
    """Reserved = captured + refunded, per job and bucket; balances are the sums."""
    by_job: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for entry in run.ledger:
        available, reserved = _EFFECTS[entry.kind]
        both = sums[entry.user_id, entry.bucket]
        both[0] += available * entry.amount
        both[1] += reserved * entry.amount
        if entry.job_id:
            by_job[entry.job_id][entry.kind][entry.bucket] += entry.amount
    for job in run.jobs:
        kinds = by_job[job.id]
        closed, wrong = ("capture", "refund") if job.status == "completed" else _FAILED
        if kinds[closed] != kinds["reserve"] or kinds[wrong]:
            yield f"{job.id} is {job.status}; its ledger: {_plain(kinds)}"
        if kinds["reserve"].total() != job.cost:
            yield f"{job.id} costs {job.cost}; its ledger: {_plain(kinds)}"
    for place, expected in sums.items():
        if tuple(expected) != tuple(run.balances.get(place, (0, 0))):
            yield f"the balance of {place} is {run.balances.get(place)}, its entries say {expected}"


_FAILED = ("refund", "capture")
_EFFECTS = {"grant": (1, 0), "reserve": (-1, 1), "capture": (0, -1), "refund": (1, -1)}


def callbacks(run: Run) -> Iterator[str]:
    """Each delivered callback is kept to the byte, with its job; nothing else is."""
    owners = owners_of(run)
    sent: dict[str, Counter[str]] = defaultdict(Counter)
    delivered: dict[str, Counter[str]] = defaultdict(Counter)
    bodies = {one.sha256: one.body for one in run.log.deliveries}
    for one in run.log.deliveries:
        owner = owners.get(token_hash(one.token))
        if owner is None:
            yield f"a callback of task {one.task_id} went to a token that no attempt has"
            continue
        sent[owner[0].id][one.sha256] += 1
        delivered[owner[0].id][one.sha256] += one.delivered
    for job in run.jobs:
        kept = Counter(one.sha256 for one in job.callbacks)
        if missing := delivered[job.id] - kept:
            yield f"{job.id} lacks callbacks that were answered 200: {dict(missing)}"
        if strange := kept - sent[job.id]:
            yield f"{job.id} has callbacks that nobody sent it: {dict(strange)}"
        for callback in job.callbacks:
            if not _is_same(callback, bodies.get(callback.sha256, callback.body)):
                yield f"{job.id} keeps other bytes of callback {callback.sha256} than were sent"


def _is_same(kept: Kept, original: bytes) -> bool:
    """Whether the bytes are the original's, but for stars in the ranges that say so."""
    masked = bytearray(original)
    for start, end in kept.masked:
        masked[start:end] = b"*" * (end - start)
    return kept.size == len(original) and kept.body == bytes(masked)


def histories(run: Run) -> Iterator[str]:
    """Each history is whole, in order, and a way that design §3 knows."""
    for job in run.jobs:
        if job.through_seq != job.seq or list(job.event_seqs) != list(range(1, job.seq + 1)):
            yield f"{job.id} has {job.seq} events; its history reaches {job.through_seq}"
        if job.shown != (job.status, job.error_class, job.failed_at_step):
            yield f"{job.id} is {job.status} {job.error_class}; its trail says {job.shown}"
        way = "".join(_LETTERS[step.name] for step in job.steps)
        if not _WAYS.fullmatch(way) or not way.endswith(_LAST_LETTER.get(job.status, "?")):
            yield f"{job.id} is {job.status} after the steps {way}"
        elif job.status == "failed" and not re.search(_FAILED_WAYS[job.failed_at_step] + "$", way):
            yield f"{job.id} failed at {job.failed_at_step} after the steps {way}"
        times = [step.at for step in job.steps]
        if times != sorted(times):
            yield f"{job.id} has steps whose times go back: {[at.isoformat() for at in times]}"
        numbers = [step.attempt for step in job.steps]
        if numbers != sorted(numbers) or set(numbers) - set(range(len(job.attempts) + 1)):
            yield f"{job.id} has {len(job.attempts)} attempts, its steps are of {numbers}"


def owners_of(run: Run) -> dict[bytes, tuple[Job, Attempt]]:
    """Return whose each callback token is, by its hash."""
    return {attempt.token_sha256: (job, attempt) for job in run.jobs for attempt in job.attempts}


def tasks_by_job(run: Run) -> dict[str, list[Task]]:
    """Return the accepted tasks of each job, oldest first, matched by token alone."""
    owners = owners_of(run)
    found: dict[str, list[Task]] = {job.id: [] for job in run.jobs}
    for task in run.log.tasks:
        owner = owners.get(token_hash(task.token))
        if owner is not None:
            found[owner[0].id].append(task)
    return found


def _retries_of(task: Task) -> int:
    return CLASSES[task.error_class].auto.max_retries


def _plain(kinds: Mapping[str, Counter[str]]) -> str:
    return str({kind: dict(counts) for kind, counts in kinds.items() if counts})
