"""Callback bodies of RunningHub, as hints.

They are unsigned, so nothing read here may decide anything: it says where to look, and the
answer to a v2 query decides. Forms follow docs/runninghub-api.md §4, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from services.runninghub.json_shape import JsonObject, as_object, as_text, decode, decode_nested
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.task_v1 import outputs_v1_from_json
from services.runninghub.wire import task_from_json

# Of a task these say nothing that a hint holds, and reading them is half the work.
_LONG = frozenset({"failedReason", "promptTips", "usage"})


@dataclass(frozen=True, slots=True)
class CallbackHint:
    """What a callback claims. `task_status` is the provider's word, "" where it gave none."""

    event: str = ""
    task_id: str = ""
    task_status: str = ""
    has_output: bool = False
    _read: Callable[[], TaskReport] | None = field(default=None, repr=False, compare=False)

    @property
    def report(self) -> TaskReport | None:
        """The claim in full, read when it is asked for; None where there is none to be read."""
        return self._read() if self._read else None


def parse_callback(body: bytes) -> CallbackHint:
    """Read a callback body of any form; the bytes themselves are kept by the gateway.

    The task object lies in eventData (v2), in a JSON text there (v1, usually an outputs reply),
    or is the body itself. What is no JSON, or of another form, claims nothing.
    """
    outer = as_object(decode(body).value)
    if "eventData" in outer:
        return _hint_in(outer, as_object(decode_nested(outer["eventData"])))
    if {"status", "results", "errorCode", "taskStatus"} & outer.keys():
        return _hint(outer, outer, task_from_json)
    return _hint(outer, {}, None)


def _hint_in(outer: JsonObject, fields: JsonObject) -> CallbackHint:
    if not fields:
        return _hint(outer, fields, None)
    if "code" in fields and "status" not in fields and "errorCode" not in fields:
        outer_id = as_text(outer.get("taskId"))
        return _hint(outer, fields, lambda reply: outputs_v1_from_json(reply, 200, outer_id))
    return _hint(outer, fields, task_from_json)


def _hint(
    outer: JsonObject, claim: JsonObject, read: Callable[[JsonObject], TaskReport] | None
) -> CallbackHint:
    short = {name: value for name, value in claim.items() if name not in _LONG}
    report = read(short) if read else None
    return CallbackHint(
        event=as_text(outer.get("event")),
        task_id=as_text(outer.get("taskId")) or (report.task_id if report else ""),
        task_status=_status(report),
        has_output=bool(report and report.outputs),
        _read=partial(read, claim) if read else None,
    )


def _status(report: TaskReport | None) -> str:
    if report is None:
        return ""
    if report.status or report.state is not TaskState.FAILED:
        return report.status
    return "FAILED"
