"""Runs composed by hand, for tests of the judge: right ones, to be bent in one place."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services.runtime.ids import token_hash
from tests.support.provider_log import ProviderLog
from tests.support.run_record import Attempt, Entry, Job, Kept, Run, Step

BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RUN_LIMIT_S = 60.0
KEY = "key-1"
BODY = b'{"taskId": "%s", "url": "https://host/x?token=secret"}'
COMPLETED = "upload insert credits queue_check queued starting running webhook_received completed"
FAILED = COMPLETED.replace("completed", "failed")
FILE = "f" * 64


def at(seconds: float) -> datetime:
    """Return a time of the composed run."""
    return BEGAN + timedelta(seconds=seconds)


def token(job: str, number: int = 1) -> str:
    """Return the callback token of an attempt."""
    return f"{job}-{number}"


def attempt(job: str, number: int = 1, **more: Any) -> Attempt:
    """Return an attempt that was accepted."""
    facts: dict[str, Any] = {
        "number": number,
        "account": "one",
        "token_sha256": token_hash(token(job, number)),
        "task_id": f"task-{job}-{number}",
        "claimed_at": at(number),
        "submitted_at": at(number),
        "accepted_at": at(number),
    }
    return Attempt(**(facts | more))


def body_of(job: str, number: int = 1) -> bytes:
    """Return the bytes of an attempt's callback."""
    return BODY % f"task-{job}-{number}".encode()


def kept(job: str, number: int = 1) -> Kept:
    """Return an attempt's callback as it is read back, its secret masked."""
    body = body_of(job, number)
    start = body.index(b"secret")
    span = (start, start + len(b"secret"))
    masked = body.replace(b"secret", b"******")
    digest = hashlib.sha256(body).hexdigest()
    return Kept(body=masked, sha256=digest, size=len(body), masked=(span,))


def job(name: str, steps: str = COMPLETED, **more: Any) -> Job:
    """Return a completed job."""
    walked = steps.split()
    facts: dict[str, Any] = {
        "id": name,
        "user_id": "ana",
        "tool": "upscaler",
        "status": "completed",
        "cost": 60,
        "enqueue_seq": 1,
        "seq": 12,
        "through_seq": 12,
        "event_seqs": tuple(range(1, 13)),
        "steps": tuple(Step(name=step, at=at(n)) for n, step in enumerate(walked)),
        "attempts": (attempt(name),),
        "files": (FILE,),
        "callbacks": (kept(name),),
    }
    facts |= more
    shown = tuple(facts.get(name, "") for name in ("status", "error_class", "failed_at_step"))
    return Job(**({"shown": shown} | facts))


def failed(name: str, error_class: str, step: str = "running", **more: Any) -> Job:
    """Return a failed job."""
    facts: dict[str, Any] = {
        "status": "failed",
        "error_class": error_class,
        "failed_at_step": step,
        "files": (),
    }
    return job(name, **{"steps": FAILED, **facts, **more})


def accepted(name: str, number: int = 1, key: str = KEY) -> dict[str, Any]:
    """Return the log's line of an accepted start."""
    return {
        "event": "start_accepted",
        "task_id": f"task-{name}-{number}",
        "key": key,
        "webhook_url": f"http://gateway/runninghub/{token(name, number)}",
    }


def ended(
    name: str, number: int = 1, error_class: str = "", key: str = KEY, status: str = ""
) -> dict[str, Any]:
    """Return the log's line of a task's end."""
    return {
        "event": "run_ended",
        "task_id": f"task-{name}-{number}",
        "key": key,
        "status": status or ("FAILED" if error_class else "SUCCESS"),
        "error_class": error_class,
        "outputs": [] if error_class else [{"sha256": FILE}],
        "faults": [],
    }


def sent(name: str, number: int = 1, *, delivered: bool = True, s: float = 5) -> dict[str, Any]:
    """Return the log's line of a callback, `s` seconds into the run."""
    body = body_of(name, number)
    return {
        "event": "callback_sent",
        "task_id": f"task-{name}-{number}",
        "url": f"http://gateway/runninghub/{token(name, number)}",
        "body": base64.b64encode(body).decode(),
        "sha256": hashlib.sha256(body).hexdigest(),
        "delivered": delivered,
        "wall_s": at(s).timestamp(),
    }


def entries(of: Job, *, closed: str = "capture", bucket: str = "lifetime") -> list[Entry]:
    """Return the ledger's lines of one job."""
    return [
        Entry(user_id="ana", job_id=of.id, kind=kind, bucket=where, amount=of.cost)
        for kind, where in (("reserve", "lifetime"), (closed, bucket))
    ]


def run(jobs: Sequence[Job], lines: Sequence[dict[str, Any]], **more: Any) -> Run:
    """Return a run with a ledger that fits the jobs, unless `more` says otherwise."""
    captured = sum(one.cost for one in jobs if one.status == "completed")
    ledger = [Entry(user_id="ana", job_id="", kind="grant", bucket="lifetime", amount=1000)]
    for one in jobs:
        ledger += entries(one, closed="capture" if one.status == "completed" else "refund")
    facts: dict[str, Any] = {
        "jobs": jobs,
        "ledger": ledger,
        "balances": {("ana", "lifetime"): (1000 - captured, 0)},
        "log": ProviderLog(lines),
        "slots": {KEY: 2},
        "total": 2,
        "run_limits_s": {"upscaler": RUN_LIMIT_S},
    }
    return Run(**(facts | more))
