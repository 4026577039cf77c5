"""Callback bodies of RunningHub, as hints.

They are unsigned, so nothing read here may decide anything: it says where to look, and the
answer to a v2 query decides. Forms follow docs/runninghub-api.md §4, read 2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.runninghub.json_shape import JsonObject, as_object, as_text, decode, decode_nested
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.task_v1 import outputs_v1_from_json
from services.runninghub.wire import task_from_json


@dataclass(frozen=True, slots=True)
class CallbackHint:
    """What a callback claims. `task_status` is the provider's word, "" where it gave none.

    `report` is the claim in full, None where the body holds none that can be read.
    """

    event: str = ""
    task_id: str = ""
    task_status: str = ""
    has_output: bool = False
    report: TaskReport | None = None


def parse_callback(body: bytes) -> CallbackHint:
    """Read a callback body of any form; the bytes themselves are kept by the gateway.

    The task object lies in eventData (v2), in a JSON text there (v1, usually an outputs reply),
    or is the body itself. What is no JSON, or of another form, claims nothing.
    """
    outer = as_object(decode(body).value)
    if "eventData" in outer:
        return _hint(outer, _report_in(outer.get("eventData"), as_text(outer.get("taskId"))))
    if {"status", "results", "errorCode", "taskStatus"} & outer.keys():
        return _hint(outer, task_from_json(outer))
    return _hint(outer, None)


def _report_in(data: object, outer_id: str) -> TaskReport | None:
    fields = as_object(decode_nested(data))
    if not fields:
        return None
    is_outputs = "code" in fields and "status" not in fields and "errorCode" not in fields
    return outputs_v1_from_json(fields, 200, outer_id) if is_outputs else task_from_json(fields)


def _hint(outer: JsonObject, report: TaskReport | None) -> CallbackHint:
    return CallbackHint(
        event=as_text(outer.get("event")),
        task_id=as_text(outer.get("taskId")) or (report.task_id if report else ""),
        task_status=_status(report),
        has_output=bool(report and report.outputs),
        report=report,
    )


def _status(report: TaskReport | None) -> str:
    if report is None:
        return ""
    if report.status or report.state is not TaskState.FAILED:
        return report.status
    return "FAILED"
