"""The contract with RunningHub: every sample body is read and judged as its row here says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.runninghub import envelope, task_v1, wire
from services.runninghub.callback import CallbackShape, parse_callback
from services.runninghub.report import Reply, StartReply, TaskReport
from services.runninghub.verdicts import (
    Stage,
    Verdict,
    classify,
    evidence_of,
    judge_start,
    judge_task,
    user_text,
)

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
    "outputs-v1-empty.json": Row("succeeded", *NO_OUTPUT, "SUCCESS without results"),
    "outputs-v1-null.json": Row("waiting"),
    "outputs-v1-success.json": Row("succeeded"),
    "query-v2-1004.json": Row("not_found", *LOST, "task not found or expired | 任务不存在或已过期"),
    "query-v2-cancelled-empty-status.json": Row("blank", *CANCELLED, "status ''"),
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
    "status-v1-807.json": Row("not_found", *LOST, "APIKEY_TASK_NOT_FOUND"),
    # v1 status gives no reason: ask v2 query for it.
    "status-v1-failed.json": Row(
        "failed",
        "unknown",
        "provider",
        "as_is",
        "running",
        "The provider reported an error that we do not know yet.",
    ),
    "status-v1-queued.json": Row("waiting"),
    "status-v1-running.json": Row("running"),
    "status-v1-success.json": Row("succeeded"),
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
    "webhook-malformed-eventdata.json": Row("malformed"),
    "webhook-out-of-order.json": Row(
        "succeeded, failed",
        "unknown",
        "provider",
        "as_is",
        "running",
        "The provider reported an error that we do not know yet.",
        "工作流运行失败",
    ),
    "webhook-unknown-event.json": Row("no_event_data"),
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
        "succeeded", *NO_OUTPUT, "SUCCESS without results"
    ),
    "webhook-v2-success-image.json": Row("succeeded"),
    "webhook-v2-success-multifile.json": Row("succeeded"),
    "webhook-v2-success-video.json": Row("succeeded"),
    "webhook-v2-toplevel-task-object.json": Row("succeeded"),
}

SIMPLE: dict[str, tuple[Stage, Callable[[bytes], Reply]]] = {
    "account-v1": (Stage.RUN, envelope.parse_account),
    "cancel-v1": (Stage.RUN, envelope.parse_cancel),
    "queue-v2": (Stage.RUN, envelope.parse_queue_status),
    "upload-v": (Stage.UPLOAD, envelope.parse_upload),
    "webhook-detail": (Stage.RUN, envelope.parse_webhook_detail),
}
TASKS: dict[str, Callable[[bytes], TaskReport]] = {
    "outputs-v1": task_v1.parse_outputs_v1,
    "query-v2": wire.parse_query,
    "status-v1": task_v1.parse_status_v1,
}


def read(name: str) -> tuple[str, Verdict | None]:
    """Replay one sample through the parser of its endpoint; return its state and verdict."""
    body = (SAMPLES / name).read_bytes()
    for prefix, (stage, parse) in SIMPLE.items():
        if name.startswith(prefix):
            reply = parse(body)
            assert not reply.strange
            if reply.code:
                return "refused", classify(evidence_of(stage, reply))
            return "ok", None
    for prefix, parse_task in TASKS.items():
        if name.startswith(prefix):
            report = parse_task(body)
            assert not report.strange
            return report.state.value, judge_task(report)
    if name.startswith("webhook"):
        return _read_webhook(json.loads(body), body)
    status = int(name.removeprefix("edge-")[:3]) if name.startswith("edge-") else 200
    start: StartReply = wire.parse_start(body, status)
    assert start.task.unknown_shape == (status != 200)
    return start.outcome.value, judge_start(start)


def _read_webhook(plan: Any, body: bytes) -> tuple[str, Verdict | None]:
    """Scenario files hold bodies and a delivery plan; the others are the body itself."""
    bodies = [body]
    if "description" in plan:
        deliveries = plan.get("deliveries") or [plan["body"]]
        bodies = [json.dumps(delivery).encode() for delivery in deliveries]
    hints = [parse_callback(each) for each in bodies]
    assert all(hint.task_id for hint in hints)
    reports = [hint.report for hint in hints if hint.report is not None]
    if not reports:
        assert hints[0].strange
        return hints[0].shape.value, None
    return ", ".join(report.state.value for report in reports), judge_task(reports[-1])


def test_every_sample_has_a_row_and_every_row_a_sample() -> None:
    files = {path.name for path in SAMPLES.iterdir()} - NOT_A_BODY

    assert files == set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_sample_is_read_and_judged_as_its_row_says(name: str) -> None:
    row = ROWS[name]

    state, verdict = read(name)

    assert state == row.state
    if not row.error_class:
        assert verdict is None
        return
    assert verdict is not None
    failure = verdict.failure
    found = (failure.name, failure.side, failure.retry, verdict.failed_at_step)
    assert found == (row.error_class, row.side, row.retry, row.step)
    assert user_text(failure, "en").message == row.text
    assert row.words in verdict.words


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("webhook-v1-success-string-eventdata.json", CallbackShape.STRING),
        ("webhook-v1-failure-string-eventdata.json", CallbackShape.STRING),
        ("webhook-v2-success-image.json", CallbackShape.OBJECT),
        ("webhook-v2-toplevel-task-object.json", CallbackShape.TOP_LEVEL),
        ("webhook-malformed-eventdata.json", CallbackShape.MALFORMED),
        ("webhook-unknown-event.json", CallbackShape.NO_EVENT_DATA),
        ("edge-502.html", CallbackShape.NOT_JSON),
    ],
)
def test_callback_shape_is_told(name: str, shape: CallbackShape) -> None:
    assert parse_callback((SAMPLES / name).read_bytes()).shape is shape
