"""The task object of RunningHub v2 (start, query, callback) as typed values.

Bytes in, dataclasses out, never an exception: what is not JSON says so (`is_json`), what is
JSON of an unknown form is kept as far as it goes and flagged (`strange`). Shapes follow
runninghub-api.md §3.1, read 2026-11-24.
"""

from __future__ import annotations

from typing import Final

from services.runninghub.json_shape import (
    JsonObject,
    as_code,
    as_list,
    as_object,
    as_text,
    as_words,
    decode,
    decode_nested,
)
from services.runninghub.report import (
    FailedReason,
    Output,
    PromptTips,
    StartOutcome,
    StartReply,
    TaskReport,
    TaskState,
    Usage,
)

_WAITING: Final = frozenset({"CREATE", "CREATED", "QUEUED", "PENDING"})
_CANCELLED: Final = frozenset({"CANCEL", "CANCELED", "CANCELLED"})
_NOT_FOUND: Final = frozenset({"423", "807", "1004"})
# Codes that are states and no errors (§5).
_STATE_CODES: Final = {"804": TaskState.RUNNING, "813": TaskState.WAITING}
# Errors that speak of the task itself, whatever the status beside them (§5).
_TASK_ERRORS: Final = frozenset({"805", "1006", "1013", "1015", "1404", "1501", "1504", "1505"})
_STATES: Final = {
    "RUNNING": TaskState.RUNNING,
    "SUCCESS": TaskState.SUCCEEDED,
    "FAILED": TaskState.FAILED,
    **dict.fromkeys(_WAITING, TaskState.WAITING),
    **dict.fromkeys(_CANCELLED, TaskState.CANCELLED),
}


def parse_start(body: bytes, http_status: int = 200) -> StartReply:
    """Read a start reply of v2, or of v1 whose task object lies in `data`."""
    task = parse_query(body, http_status)
    return StartReply(_start_outcome(task), task)


def parse_query(body: bytes, http_status: int = 200) -> TaskReport:
    """Read a v2 query reply."""
    decoded = decode(body)
    if not decoded.is_json:
        return TaskReport(
            state=TaskState.UNREADABLE,
            http_status=http_status,
            is_json=False,
            strange=("the body is not JSON",),
        )
    return task_from_json(decoded.value, http_status)


def task_from_json(value: object, http_status: int = 200) -> TaskReport:
    """Read a decoded task object: flat (v2) or in an envelope `{code, msg, data}` (v1)."""
    outer = as_object(value)
    data = as_object(outer.get("data"))
    body = {**outer, **data} if "code" in outer and "errorCode" not in outer else outer
    code = as_code(body.get("errorCode", body.get("code")))
    status = as_text(body.get("status", body.get("taskStatus")))
    reason = parse_reason(body.get("failedReason"))
    outputs = parse_outputs(body.get("results"))
    strange = _oddities(value, body, len(outputs))
    return TaskReport(
        state=_state(code, status.upper(), http_status, readable=not strange or bool(status)),
        http_status=http_status,
        code=code,
        message=_message(body, code),
        strange=strange,
        task_id=as_text(body.get("taskId")),
        status=status,
        reason=reason,
        outputs=outputs,
        usage=parse_usage(body.get("usage")),
        prompt_tips=parse_prompt_tips(body.get("promptTips")),
    )


def parse_reason(value: object) -> FailedReason | None:
    """Read a failedReason; None where it is absent or empty. JSON inside strings is decoded."""
    reason = decode_nested(value)
    if isinstance(reason, str) and reason.strip():
        return FailedReason(exception_message=as_text(reason))
    fields = as_object(reason)
    if not fields:
        return None
    trace = decode_nested(fields.get("traceback"))
    lines = as_list(trace) or ([trace] if isinstance(trace, str) and trace else [])
    return FailedReason(
        exception_type=as_words(fields.get("exception_type")),
        # `message` is no documented key: kept so that a reply of that form is not mute
        exception_message=as_words(fields.get("exception_message", fields.get("message"))),
        node_name=as_words(fields.get("node_name")),
        node_id=as_text(fields.get("node_id")),
        traceback=tuple(as_words(line) for line in lines),
        current_inputs=decode_nested(fields.get("current_inputs")),
        current_outputs=decode_nested(fields.get("current_outputs")),
    )


def parse_outputs(value: object) -> tuple[Output, ...]:
    """Read results (v2: url, outputUrl, content, output, text; v1: fileUrl, fileType)."""
    return tuple(output for item in as_list(value) if (output := _output(item)).url or output.text)


def parse_usage(value: object) -> Usage:
    """Read a usage object; figures stay the texts they were."""
    fields = as_object(value)
    return Usage(
        consume_money=_figure(fields.get("consumeMoney")),
        consume_coins=_figure(fields.get("consumeCoins")),
        task_cost_time=_figure(fields.get("taskCostTime")),
        third_party_consume_money=_figure(fields.get("thirdPartyConsumeMoney")),
    )


def parse_prompt_tips(value: object) -> PromptTips | None:
    """Read promptTips, a JSON text inside a string; None where it is absent or no object."""
    fields = as_object(decode_nested(value))
    if not fields:
        return None
    result = fields.get("result")
    return PromptTips(
        result=result if isinstance(result, bool) else None,
        error=as_words(fields.get("error")),
        node_errors=as_object(fields.get("node_errors")),
    )


def _start_outcome(task: TaskReport) -> StartOutcome:
    if task.code not in ("", *_STATE_CODES):
        return StartOutcome.DOUBTFUL if task.task_id else StartOutcome.REFUSED
    if task.task_id and 200 <= task.http_status < 300:
        return StartOutcome.ACCEPTED
    return StartOutcome.DOUBTFUL if task.task_id else StartOutcome.UNREADABLE


def _state(code: str, status: str, http_status: int, *, readable: bool) -> TaskState:
    if not (readable or code):
        return TaskState.UNREADABLE
    if code in _STATE_CODES:
        return _STATE_CODES[code]
    if code in _NOT_FOUND:
        return TaskState.NOT_FOUND
    if status == "FAILED" or code in _TASK_ERRORS:
        return TaskState.FAILED
    if code or http_status >= 400:
        return TaskState.CALL_REFUSED
    if not status:
        return TaskState.BLANK
    return _STATES.get(status, TaskState.UNREADABLE)


def _oddities(value: object, body: JsonObject, outputs: int) -> tuple[str, ...]:
    """Tell what in a task object is of no known form, in words for a person."""
    if not isinstance(value, dict):
        return (f"the body is a JSON {type(value).__name__}, not an object",)
    odd = []
    if not {"taskId", "status", "taskStatus", "errorCode", "code"} & body.keys():
        odd.append("no key of a task object")
    status = as_text(body.get("status", body.get("taskStatus")))
    if status and status.upper() not in _STATES:
        odd.append(f"unknown status {status[:64]!r}")
    results = body.get("results")
    if not isinstance(results, list | None):
        odd.append(f"results is a {type(results).__name__}")
    elif outputs != len(results or ()):
        odd.append("a result without url or text")
    if status.upper() == "SUCCESS" and as_code(body.get("errorCode", body.get("code"))):
        odd.append("SUCCESS with an error code")
    return tuple(odd)


def _output(item: object) -> Output:
    if isinstance(item, str):
        return _file_or_text(as_text(item))
    fields = as_object(item)
    url = _first_text(fields, "url", "outputUrl", "fileUrl")
    loose = _first_text(fields, "output", "content")
    found = Output(url) if url else _file_or_text(loose)
    return Output(
        url=found.url,
        node_id=as_text(fields.get("nodeId")),
        output_type=_first_text(fields, "outputType", "fileType", "type").lstrip("."),
        text=as_text(fields.get("text")) or found.text,
    )


def _file_or_text(value: str) -> Output:
    """`content` and `output` carry an address or a text; only the value itself tells."""
    is_address = value.startswith(("https://", "http://"))
    return Output(url=value if is_address else "", text="" if is_address else value)


def _message(body: JsonObject, code: str) -> str:
    """Return the words of a reply; v1 says "success" where there is nothing to say."""
    text = _first_text(body, "errorMessage", "msg", "message")
    return "" if text == "success" and not code else text


def _first_text(fields: JsonObject, *keys: str) -> str:
    return next((text for key in keys if (text := as_text(fields.get(key)))), "")


def _figure(value: object) -> str | None:
    return as_text(value) or None
