"""What v1 says about a task: the outputs reply inside its callbacks, read into the report of v2.

Shapes follow docs/runninghub-api.md §2.3 and §2.4, read 2026-11-24.
"""

from __future__ import annotations

from dataclasses import replace

from services.runninghub.json_shape import as_code, as_list, as_object, as_text
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.wire import parse_outputs, parse_reason, parse_usage, task_from_json


def outputs_v1_from_json(value: object, http_status: int = 200, task_id: str = "") -> TaskReport:
    """Read a decoded v1 outputs reply; a v1 callback carries one inside its eventData.

    804/813 are states, 805 a failure, null data "still starting". The body names no task, so
    `task_id` is the caller's.
    """
    outer = as_object(value)
    if "code" not in outer:
        return _no_task_object(value, http_status)
    data = outer.get("data")
    code = as_code(outer["code"])
    status = "" if code else "QUEUED" if data is None else "SUCCESS"
    report = task_from_json(
        {
            "taskId": task_id,
            "status": "FAILED" if code == "805" else status,
            "errorCode": code,
            "errorMessage": as_text(outer.get("msg")),
        },
        http_status,
    )
    if not code and not isinstance(data, list | None):
        odd = f"data is a JSON {type(data).__name__}, not a list"
        return replace(report, state=TaskState.UNREADABLE, strange=(*report.strange, odd))
    return replace(
        report,
        reason=parse_reason(as_object(data).get("failedReason")),
        outputs=parse_outputs(data),
        usage=parse_usage(next(iter(as_list(data)), None)),
    )


def _no_task_object(value: object, http_status: int) -> TaskReport:
    return TaskReport(
        state=TaskState.UNREADABLE,
        http_status=http_status,
        strange=(f"the body is a JSON {type(value).__name__} of no known form",),
    )
