"""Writes the bodies of callbacks: the forms of both generations and the forms that are wrong."""

from __future__ import annotations

import json
from typing import Any

from services.emulator import wire_v1, wire_v2
from services.emulator.faults import FaultSpec
from services.emulator.reasons import REASONS
from services.emulator.settings import Settings
from services.emulator.task import Status, Task

EVENT = "TASK_END"
UNKNOWN_TASK = "1999999999999999999"


def body_of(task: Task, settings: Settings) -> bytes:
    """Return the callback that tells of a task's end, as its faults and the settings shape it."""
    form = settings.webhook_v1_form if task.generation == "v1" else settings.webhook_v2_form
    if (fault := task.fault("callback_form")) is not None:
        form = fault.form
    if task.fault("callback_unknown_event") is not None:
        return _dump({"event": "TASK_PROGRESS", "taskId": task.task_id, "eventData": {}})
    if task.fault("callback_unknown_task") is not None:
        data = {**_object(task, settings), "taskId": UNKNOWN_TASK}
        return _dump({"eventData": data, "event": EVENT, "taskId": UNKNOWN_TASK})
    if task.fault("callback_malformed") is not None:
        text = event_text(task, settings)
        return _dump({"event": EVENT, "taskId": task.task_id, "eventData": text[: len(text) // 2]})
    return _in_form(form, task.task_id, _object(task, settings), _string(task))


def contrary_of(task: Task, settings: Settings) -> bytes:
    """Return a callback that says the opposite of how the task ended."""
    if task.status is Status.SUCCESS:
        reason = REASONS["unknown"]
        data = wire_v2.task_object(task.task_id, "FAILED", "805", "工作流运行失败")
        data["failedReason"] = wire_v2.failed_reason(reason)
        reply = wire_v1.envelope(
            {"failedReason": wire_v1.failed_reason(reason)}, 805, "APIKEY_TASK_STATUS_ERROR"
        )
    else:
        data = {**wire_v2.task_object(task.task_id, "SUCCESS"), "results": []}
        reply = wire_v1.envelope([])
    form = settings.webhook_v1_form if task.generation == "v1" else settings.webhook_v2_form
    return _in_form(form, task.task_id, data, _without_errors(reply))


def event_text(task: Task, settings: Settings) -> str:
    """Return `eventData` as getWebhookDetail shows it: always a string."""
    if task.generation == "v1":
        return _string(task)
    return json.dumps(_object(task, settings), ensure_ascii=False)


def orders(fault: FaultSpec | None, truth: bytes, contrary: bytes) -> list[bytes]:
    """Return the bodies to deliver one after the other."""
    if fault is None:
        return [truth]
    return [contrary, truth] if fault.order == "wrong_first" else [truth, contrary]


def _object(task: Task, settings: Settings) -> dict[str, Any]:
    return wire_v2.event_data(task, settings.cancelled_status)


def _string(task: Task) -> str:
    return _without_errors(wire_v1.outputs(task, ""))


def _without_errors(reply: dict[str, Any]) -> str:
    """The outputs reply inside a callback has no `errorMessages` (documented example)."""
    inner = {name: value for name, value in reply.items() if name != "errorMessages"}
    return json.dumps(inner, ensure_ascii=False)


def _in_form(form: str, task_id: str, data: dict[str, Any], text: str) -> bytes:
    if form == "toplevel":
        return _dump(data)
    if form == "object":
        return _dump({"eventData": data, "event": EVENT, "taskId": task_id})
    return _dump({"event": EVENT, "taskId": task_id, "eventData": text})


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
