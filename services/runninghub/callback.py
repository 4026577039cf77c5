"""Callback bodies of RunningHub, as hints.

They are unsigned, so nothing read here may decide anything: it says where to look, and the
answer to a v2 query decides. Forms follow docs/runninghub-api.md §4, read 2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.runninghub.json_shape import JsonObject, as_object, as_text, decode
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.task_v1 import outputs_v1_from_json
from services.runninghub.wire import task_from_json

TASK_END = "TASK_END"


class CallbackShape(StrEnum):
    """The form in which a callback came."""

    OBJECT = "object"  # v2: eventData is the task object
    STRING = "string"  # v1: eventData is a JSON text, usually of an outputs reply
    TOP_LEVEL = "top_level"  # the task object itself, without event
    NO_EVENT_DATA = "no_event_data"  # event and taskId only
    MALFORMED = "malformed"  # eventData cannot be read
    UNKNOWN = "unknown"  # JSON of another form
    NOT_JSON = "not_json"


@dataclass(frozen=True, slots=True)
class CallbackHint:
    """What a callback claims. `task_status` is the provider's word, "" where it gave none.

    `report` is the claim in full, for the record and for comparison with the verified one.
    """

    shape: CallbackShape
    event: str = ""
    task_id: str = ""
    task_status: str = ""
    has_output: bool = False
    report: TaskReport | None = None
    strange: tuple[str, ...] = ()

    @property
    def is_parsed(self) -> bool:
        """Whether a task report was found in the body."""
        return self.report is not None

    @property
    def claims_end(self) -> bool:
        """Whether the body claims that the task has ended."""
        return self.report is not None and self.report.state.is_final


def parse_callback(body: bytes) -> CallbackHint:
    """Read a callback body of any form; the bytes themselves are kept by the gateway."""
    decoded = decode(body)
    if not decoded.is_json:
        return CallbackHint(CallbackShape.NOT_JSON, strange=("the body is not JSON",))
    outer = as_object(decoded.value)
    if "eventData" in outer:
        return _wrapped(outer.get("eventData"), outer)
    if {"status", "results", "errorCode", "taskStatus"} & outer.keys():
        return _hint(CallbackShape.TOP_LEVEL, outer, task_from_json(outer))
    if "event" in outer or "taskId" in outer:
        return _hint(CallbackShape.NO_EVENT_DATA, outer, None, "no eventData")
    return CallbackHint(CallbackShape.UNKNOWN, strange=("no key of a callback",))


def _wrapped(data: object, outer: JsonObject) -> CallbackHint:
    shape = CallbackShape.OBJECT
    if isinstance(data, str):
        inner = decode(data)
        data = inner.value if inner.is_json else None
        shape = CallbackShape.STRING
    if not isinstance(data, dict):
        return _hint(CallbackShape.MALFORMED, outer, None, "eventData cannot be read")
    if not data:
        return _hint(CallbackShape.NO_EVENT_DATA, outer, None, "eventData is empty")
    outer_id = as_text(outer.get("taskId"))
    is_outputs = "code" in data and "status" not in data and "errorCode" not in data
    report = outputs_v1_from_json(data, 200, outer_id) if is_outputs else task_from_json(data)
    return _hint(shape, outer, report)


def _hint(
    shape: CallbackShape, outer: JsonObject, report: TaskReport | None, oddity: str = ""
) -> CallbackHint:
    event = as_text(outer.get("event"))
    outer_id = as_text(outer.get("taskId"))
    odd = [oddity] if oddity else []
    if event not in ("", TASK_END):
        odd.append(f"unknown event {event[:64]!r}")
    if report is not None and report.task_id and outer_id not in ("", report.task_id):
        odd.append("eventData speaks of another task")
    return CallbackHint(
        shape=shape,
        event=event,
        task_id=outer_id or (report.task_id if report else ""),
        task_status=_status(report),
        has_output=bool(report and report.outputs),
        report=report,
        strange=(*odd, *(report.strange if report else ())),
    )


def _status(report: TaskReport | None) -> str:
    if report is None:
        return ""
    if report.status or report.state is not TaskState.FAILED:
        return report.status
    return "FAILED"
