"""Random but repeatable plays of the queue: what providers, users and time may do to jobs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.queue import command as c
from services.queue.command import Command, Payload
from services.queue.domain import SavedOutput
from services.runninghub.report import TaskReport
from services.runninghub.verdicts import Stage, Verdict, classify, evidence_of
from services.runninghub.wire import parse_query, parse_start
from services.runtime.ids import new_id

OUTPUT = SavedOutput("http://x/o.png", "https://p/o.png", "cd" * 32, 9, "image/png", "9")
REPLIES = {
    "running": b'{"taskId":"7","status":"RUNNING","errorCode":"","errorMessage":"","results":null}',
    "success": b'{"taskId":"7","status":"SUCCESS","errorCode":"","errorMessage":"",'
    b'"results":[{"url":"https://p/o.png","outputType":"png"}]}',
    "text": b'{"taskId":"7","status":"SUCCESS","errorCode":"","errorMessage":"",'
    b'"results":[{"text":"a cat","outputType":"txt","nodeId":"9"}]}',
    "empty": b'{"taskId":"7","status":"SUCCESS","errorCode":"","errorMessage":"","results":[]}',
    "oom": b'{"taskId":"7","status":"FAILED","errorCode":"805","errorMessage":"failed",'
    b'"failedReason":{"exception_type":"torch.OutOfMemoryError",'
    b'"exception_message":"Allocation on device 0 would exceed allowed memory."}}',
    "infra": b'{"taskId":"7","status":"FAILED","errorCode":"805","errorMessage":"failed",'
    b'"failedReason":{"exception_type":"OSError","exception_message":"Stale file handle"}}',
    "cancelled": b'{"taskId":"7","status":"CANCEL","errorCode":"","errorMessage":""}',
    "blank": b'{"taskId":"7","status":"","errorCode":"","errorMessage":"","results":null}',
    "unknown": b'{"taskId":"","status":"","errorCode":"1004","errorMessage":"not found"}',
}
REFUSALS = {
    "full": b'{"taskId":"","status":"","errorCode":"421","errorMessage":"queue limit"}',
    "node": b'{"taskId":"","status":"","errorCode":"803","errorMessage":"NODE_INFO_MISMATCH"}',
    "busy": b'{"taskId":"","status":"","errorCode":"1011","errorMessage":"busy"}',
    "key": b'{"taskId":"","status":"","errorCode":"802","errorMessage":"APIKEY_UNAUTHORIZED"}',
}


def payload() -> Payload:
    """Return a small recorded response."""
    return Payload(new_id(), {"kind": "response", "call": "query", "headers": []}, b"{}")


def report(name: str) -> TaskReport:
    """Return a query's answer."""
    return parse_query(REPLIES[name])


def refusal(name: str) -> Verdict:
    """Return the verdict on a start that was refused."""
    return classify(evidence_of(Stage.START, parse_start(REFUSALS[name])))


def answer(job_id: UUID, attempt: int, name: str) -> c.Answer:
    """Return the command that a query's answer makes."""
    found = report(name)
    return c.Answer(
        job_id=job_id,
        attempt=attempt,
        report=found,
        verdict=classify(evidence_of(Stage.RUN, found)),
        payloads=[payload()],
        answer_sha256=name.encode().ljust(32, b"\0"),
        by_callback=True,
    )


def callback(job_id: UUID, attempt: int, now: datetime, *, repeat: bool = False) -> Command:
    """Return the command that a stored callback makes."""

    return c.SeeCallback(job_id, attempt, new_id(), now, "TASK_END", "7", "SUCCESS", "", repeat)
