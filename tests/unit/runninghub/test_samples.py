"""The contract with RunningHub: every sample body is read and judged as its row here says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.runninghub import envelope, wire
from services.runninghub.callback import parse_callback
from services.runninghub.report import Reply, StartOutcome, TaskReport, TaskState
from services.runninghub.verdicts import CLASSES, Stage, classify, evidence_of, user_text
from tests.support.runninghub_http import as_v1_callback
from tests.support.task_verdict import Ended, ended_by

SAMPLES = Path(__file__).parents[2] / "data" / "runninghub"
NOT_A_BODY = {"README.md"}

OOM = "Allocation on device 0 would exceed allowed memory. (out of memory)"


@dataclass(frozen=True)
class Row:
    """`state`: what the reply settles. The rest is the verdict; empty where nothing failed.

    `text` is the user's message in English, `words` a piece of the provider's own.
    """

    state: str
    error_class: str = ""
    side: str = ""
    retry: str = ""
    step: str = ""
    text: str = ""
    words: str = ""


FULL = ("account_full", "account", "as_is", "starting", "All places at the provider are taken.")
NO_MONEY = (
    "account_no_money",
    "account",
    "no",
    "starting",
    "Our account at the provider has run out of money.",
)
REFUSED = ("account_unauthorized", "account", "no", "starting", "The provider refused our account.")
MAPPING = (
    "config_node_mismatch",
    "configuration",
    "no",
    "starting",
    "The tool's configuration does not fit the app at the provider.",
)
WORKFLOW = (
    "config_workflow",
    "configuration",
    "no",
    "starting",
    "The provider refused this tool's workflow.",
)
MEMORY = (
    "gpu_oom",
    "configuration",
    "changed",
    "running",
    "The graphics card ran out of memory while processing this file.",
)
MODERATION = (
    "moderation",
    "user",
    "changed",
    "running",
    "The provider refused the content of the file or the text.",
)
LOST = ("task_lost", "provider", "as_is", "running", "The provider no longer knows this task.")
CANCELLED = (
    "cancelled_at_provider",
    "account",
    "as_is",
    "running",
    "The task was cancelled at the provider, not by you.",
)
NO_OUTPUT = (
    "no_output",
    "provider",
    "as_is",
    "running",
    "The provider finished without an error but delivered no result.",
)

ROWS = {
    "account-v1.json": Row("ok"),
    "cancel-v1-ended.json": Row(
        "refused",
        "unknown",
        "provider",
        "as_is",
        "running",
        "The provider reported an error that we do not know yet.",
        "task cannot cancel",
    ),
    "cancel-v1-ok.json": Row("ok"),
    "edge-502.html": Row(
        "unreadable",
        "submit_unknown",
        "provider",
        "as_is",
        "starting",
        "We sent the request, but the provider did not confirm that it was received.",
        "HTTP 502, no JSON",
    ),
    "outputs-v1-804.json": Row("running"),
    "outputs-v1-805.json": Row("failed", *MEMORY, OOM),
    "outputs-v1-813.json": Row("waiting"),
    "outputs-v1-empty.json": Row(
        "succeeded", *NO_OUTPUT, "the provider reports SUCCESS without any output"
    ),
    "outputs-v1-null.json": Row("waiting"),
    "outputs-v1-success.json": Row("succeeded"),
    "query-v2-1004.json": Row("not_found", *LOST, "task not found or expired | 任务不存在或已过期"),
    # Believed only after a cancel of our own; until then the task is asked about again.
    "query-v2-cancelled-empty-status.json": Row("blank"),
    "query-v2-failed.json": Row("failed", *MEMORY, OOM),
    "query-v2-queued.json": Row("waiting"),
    "query-v2-running.json": Row("running"),
    "query-v2-success.json": Row("succeeded"),
    "queue-v2.json": Row("ok"),
    "start-v1-415.json": Row("refused", *FULL, "TASK_INSTANCE_MAXED"),
    "start-v1-416.json": Row("refused", *NO_MONEY, "TASK_CREATE_FAILED_BY_NOT_ENOUGH_WALLET"),
    "start-v1-421.json": Row("refused", *FULL, "TASK_QUEUE_MAXED"),
    "start-v1-433.json": Row("refused", *WORKFLOW, "VALIDATE_PROMPT_FAILED"),
    "start-v1-803.json": Row("refused", *MAPPING, "APIKEY_INVALID_NODE_INFO"),
    "start-v1-810.json": Row("refused", *WORKFLOW, "WORKFLOW_NOT_SAVED_OR_NOT_RUNNING"),
    "start-v1-901.json": Row(
        "refused",
        "config_app_missing",
        "configuration",
        "no",
        "starting",
        "The app that this tool uses does not exist at the provider.",
        "WEBAPP_NOT_EXISTS",
    ),
    "start-v1-key-unknown.json": Row("refused", *REFUSED, "API Key不存在"),
    "start-v1-ok-queued.json": Row("accepted"),
    "start-v1-ok-running.json": Row("accepted"),
    "start-v1-ok-with-node-errors.json": Row("accepted"),
    "start-v1-unauthorized.json": Row("refused", *REFUSED, "APIKEY_UNAUTHORIZED"),
    "start-v2-1520.json": Row("refused", *FULL, "concurrency limit | 并发限制"),
    "start-v2-421-int.json": Row("refused", *FULL, "api queue limit reached"),
    "start-v2-421-with-taskid.json": Row("doubtful", *FULL, "api queue limit reached"),
    "start-v2-421.json": Row("refused", *FULL, "API队列已达上限，请稍后重试"),
    "start-v2-803.json": Row(
        "refused",
        *MAPPING,
        "NODE_INFO_MISMATCH(nodeId=141, fieldName=value, reason=field_not_found_in_node_inputs)",
    ),
    "start-v2-812.json": Row("refused", *NO_MONEY, "CORPAPIKEY_INSUFFICIENT_FUNDS"),
    "start-v2-ok.json": Row("accepted"),
    "start-v2-unauthorized.json": Row("refused", *REFUSED, "ApiKey verification failed"),
    "status-v1-807.json": Row("refused", *LOST, "APIKEY_TASK_NOT_FOUND"),
    # Never asked for, since a v2 query tells more: no more than the envelope is read.
    "status-v1-failed.json": Row("ok"),
    "status-v1-queued.json": Row("ok"),
    "status-v1-running.json": Row("ok"),
    "status-v1-success.json": Row("ok"),
    "upload-v1-808.json": Row(
        "refused",
        "upload_failed",
        "provider",
        "as_is",
        "starting",
        "Sending the file to the provider failed.",
        "APIKEY_UPLOAD_FAILED",
    ),
    "upload-v1-809.json": Row(
        "refused",
        "file_too_big",
        "user",
        "changed",
        "starting",
        "The file is too big.",
        "APIKEY_FILE_SIZE_EXCEEDED",
    ),
    "upload-v1-ok.json": Row("ok"),
    "upload-v2-401.json": Row("refused", *REFUSED, "ApiKey verification failed: API Key不存在"),
    "upload-v2-ok.json": Row("ok"),
    "webhook-detail-failed.json": Row("ok"),
    "webhook-detail-none.json": Row(
        "refused",
        "unknown",
        "provider",
        "as_is",
        "running",
        "The provider reported an error that we do not know yet.",
        "webhook event not exists",
    ),
    "webhook-duplicate-delivery.json": Row("succeeded"),
    "webhook-malformed-eventdata.json": Row("no claim"),
    "webhook-out-of-order.json": Row(
        "succeeded, failed",
        "unknown",
        "provider",
        "as_is",
        "running",
        "The provider reported an error that we do not know yet.",
        "工作流运行失败",
    ),
    "webhook-unknown-event.json": Row("no claim"),
    "webhook-unknown-task.json": Row("succeeded"),
    "webhook-v1-failure-string-eventdata.json": Row("failed", *MEMORY, OOM),
    "webhook-v1-success-string-eventdata.json": Row("succeeded"),
    "webhook-v2-failure-infra.json": Row(
        "failed",
        "infra",
        "provider",
        "as_is",
        "running",
        "The provider's machines had a passing fault.",
        "OSError: [Errno 116] Stale file handle",
    ),
    "webhook-v2-failure-input-unreadable.json": Row(
        "failed",
        "input_unreadable",
        "user",
        "changed",
        "running",
        "The provider could not read the file that was sent.",
        "PIL.UnidentifiedImageError: cannot identify image file",
    ),
    "webhook-v2-failure-moderation-1501.json": Row(
        "failed", *MODERATION, "content verification failed | 内容审核未通过"
    ),
    "webhook-v2-failure-node-missing.json": Row(
        "failed",
        "node_missing",
        "configuration",
        "no",
        "running",
        "The tool uses a component that the provider no longer has.",
        "Cannot execute because node RH_CustomUpscaler does not exist.",
    ),
    "webhook-v2-failure-nsfw.json": Row("failed", *MODERATION, "image contains Porn content"),
    "webhook-v2-failure-oom.json": Row("failed", *MEMORY, OOM),
    "webhook-v2-success-empty-results.json": Row(
        "succeeded", *NO_OUTPUT, "the provider reports SUCCESS without any output"
    ),
    "webhook-v2-success-image.json": Row("succeeded"),
    "webhook-v2-success-multifile.json": Row("succeeded"),
    "webhook-v2-success-video.json": Row("succeeded"),
    "webhook-v2-toplevel-task-object.json": Row("succeeded"),
}

SIMPLE: dict[str, tuple[Stage, Callable[[bytes], Reply]]] = {
    "account-v1": (Stage.RUN, envelope.parse_ack),
    "cancel-v1": (Stage.RUN, envelope.parse_ack),
    "queue-v2": (Stage.RUN, envelope.parse_ack),
    "status-v1": (Stage.RUN, envelope.parse_ack),
    "upload-v": (Stage.UPLOAD, envelope.parse_upload),
    "webhook-detail": (Stage.RUN, envelope.parse_webhook_detail),
}


@dataclass(frozen=True)
class Found:
    """What a sample was read as; `error_class`, `step` and `words` are "" where nothing failed."""

    state: str
    error_class: str = ""
    step: str = ""
    words: str = ""


def read(name: str) -> Found:
    """Replay one sample through the parser of its endpoint, and judge it as the queue does."""
    body = (SAMPLES / name).read_bytes()
    for prefix, (stage, parse) in SIMPLE.items():
        if name.startswith(prefix):
            reply = parse(body)
            assert not reply.strange
            return judged("refused", stage, reply) if reply.code else Found("ok")
    if name.startswith("query-v2"):
        return read_task(wire.parse_query(body))
    if name.startswith("outputs-v1"):
        # An outputs reply reaches us inside the callbacks of v1 runs alone.
        return read_callbacks([as_v1_callback(body.decode())])
    if name.startswith("webhook"):
        return read_callbacks(delivered(body))
    status = int(name.removeprefix("edge-")[:3]) if name.startswith("edge-") else 200
    start = wire.parse_start(body, status)
    assert bool(start.task.strange) == (status != 200)
    if start.outcome is StartOutcome.ACCEPTED:
        return Found("accepted")
    return judged(start.outcome.value, Stage.START, start.task)


def judged(state: str, stage: Stage, reply: Reply) -> Found:
    verdict = classify(evidence_of(stage, reply))
    return Found(state, verdict.error_class, verdict.failed_at_step, verdict.words)


def read_task(report: TaskReport) -> Found:
    assert not report.strange
    if report.state in (TaskState.CALL_REFUSED, TaskState.UNREADABLE):
        return judged(report.state.value, Stage.RUN, report)
    ended = ended_by(report)
    if ended is None:
        return Found(report.state.value)
    return Found(report.state.value, ended.error_class, ended.failed_at_step, ended.words)


def delivered(body: bytes) -> list[bytes]:
    """Return the bodies of a file: scenarios hold a delivery plan, the others are the body."""
    plan: Any = json.loads(body)
    if "description" not in plan:
        return [body]
    deliveries = plan.get("deliveries") or [plan["body"]]
    return [json.dumps(delivery).encode() for delivery in deliveries]


def read_callbacks(bodies: list[bytes]) -> Found:
    hints = [parse_callback(body) for body in bodies]
    assert all(hint.task_id for hint in hints)
    reports = [hint.report for hint in hints if hint.report is not None]
    if not reports:
        return Found("no claim")
    states = ", ".join(report.state.value for report in reports)
    return replace(read_task(reports[-1]), state=states)


def test_every_sample_has_a_row_and_every_row_a_sample() -> None:
    files = {path.name for path in SAMPLES.iterdir()} - NOT_A_BODY

    assert files == set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_sample_is_read_and_judged_as_its_row_says(name: str) -> None:
    row = ROWS[name]

    found = read(name)

    assert found.state == row.state
    assert (found.error_class, found.step) == (row.error_class, row.step)
    assert row.words in found.words
    if row.error_class:
        failure = CLASSES[found.error_class]
        assert (failure.side, failure.retry) == (row.side, row.retry)
        assert user_text(failure, "en").message == row.text


def test_an_empty_status_after_our_own_cancel_is_the_cancel() -> None:
    report = wire.parse_query((SAMPLES / "query-v2-cancelled-empty-status.json").read_bytes())

    assert ended_by(report, stop_for="cancel") == Ended("cancelled")


def test_an_empty_status_after_our_own_stop_is_the_time_limit() -> None:
    report = wire.parse_query((SAMPLES / "query-v2-cancelled-empty-status.json").read_bytes())

    ended = ended_by(report, stop_for="timeout")

    assert ended is not None
    assert (ended.error_class, ended.failed_at_step) == ("timeout", "running")
    assert ended.words == "no result within 300 s; the provider was asked and stopped it"


def test_a_cancel_that_nobody_here_asked_for_is_the_account_s() -> None:
    found = read_task(wire.parse_query(b'{"taskId":"7","status":"CANCEL","errorCode":""}'))

    failure = CLASSES[found.error_class]
    assert (found.error_class, failure.side, failure.retry, found.step) == CANCELLED[:4]
    assert user_text(failure, "en").message == CANCELLED[4]
    assert found.words == "the task was cancelled at the provider, not by us"


def test_a_failure_without_a_word_says_so() -> None:
    found = read_task(wire.parse_query(b'{"taskId":"7","status":"FAILED","errorCode":""}'))

    assert (found.error_class, found.words) == ("unknown", "status FAILED, without a word of why")


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("webhook-v1-success-string-eventdata.json", ("TASK_END", "SUCCESS", True)),
        ("webhook-v1-failure-string-eventdata.json", ("TASK_END", "FAILED", False)),
        ("webhook-v2-success-image.json", ("TASK_END", "SUCCESS", True)),
        ("webhook-v2-toplevel-task-object.json", ("", "SUCCESS", True)),
        ("edge-502.html", ("", "", False)),
    ],
)
def test_callback_of_any_form_tells_what_it_claims(name: str, claim: tuple[str, str, bool]) -> None:
    hint = parse_callback((SAMPLES / name).read_bytes())

    assert (hint.event, hint.task_status, hint.has_output) == claim


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("webhook-malformed-eventdata.json", "TASK_END"),
        ("webhook-unknown-event.json", "TASK_PROGRESS"),
    ],
)
def test_callback_without_a_readable_task_still_names_it(name: str, event: str) -> None:
    hint = parse_callback(delivered((SAMPLES / name).read_bytes())[0])

    assert (hint.event, hint.report) == (event, None)
    assert hint.task_id
