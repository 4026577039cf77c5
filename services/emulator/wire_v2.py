"""The v2 forms: the flat task object of submit, query and callbacks, and two envelopes."""

from __future__ import annotations

from typing import Any

from services.emulator import wire_v1
from services.emulator.accounts import Account
from services.emulator.catalog import OUTPUT_NODE
from services.emulator.codes import Refusal, v2_text
from services.emulator.media import Upload
from services.emulator.reasons import Reason
from services.emulator.task import Status, Task

Json = dict[str, Any]


def task_object(task_id: str = "", status: str = "", code: str = "", message: str = "") -> Json:
    """Return the task object with everything that is not known left empty."""
    return {
        "taskId": task_id,
        "status": status,
        "errorCode": code,
        "errorMessage": message,
        "failedReason": {},
        "usage": _usage(None, "0"),
        "results": None,
        "clientId": "",
        "promptTips": "",
        "parentTaskId": None,
        "taskUsageList": None,
    }


def refusal(refused: Refusal, task_id: str = "", status: str = "") -> Json:
    """Return the task object of a refused request.

    The catch-all v1 codes for a bad key have their own word here.
    """
    code = 1601 if refused.code in {1, 401, 802} else refused.code
    words = v2_text(1601) if code == 1601 else refused.words("v2")
    return task_object(task_id, status, str(code), words)


def started(task: Task) -> Json:
    """Return the reply to an accepted run."""
    word = Status.QUEUED if task.status is Status.QUEUED else Status.RUNNING
    return {
        **task_object(task.task_id, str(word)),
        "clientId": task.client_id,
        "promptTips": task.prompt_tips,
    }


def query(task: Task, cancelled_status: str) -> Json:
    """Return what a query says of a task. A cancelled one shows `cancelled_status`."""
    reply = task_object(task.task_id, str(task.status))
    if task.status is Status.CANCEL:
        # Field reports measured an empty status after a cancel; the contract names CANCEL.
        return {**reply, "status": cancelled_status}
    if task.status is Status.SUCCESS:
        reply["usage"] = _usage(str(task.coins), str(task.cost_s))
        reply["results"] = [
            {"url": item.url, "nodeId": OUTPUT_NODE, "outputType": item.extension, "text": None}
            for item in task.outputs
        ]
    if task.status is Status.FAILED and task.reason is not None:
        reply["errorCode"] = str(task.reason.code)
        reply["errorMessage"] = v2_text(task.reason.code)
        reply["failedReason"] = failed_reason(task.reason)
        reply["usage"] = _usage(None, str(task.cost_s))
    return reply


def event_data(task: Task, cancelled_status: str) -> Json:
    """Return the task object as callbacks carry it: a success lists its usage by task."""
    reply = query(task, cancelled_status)
    if task.status is Status.SUCCESS and task.outputs:
        reply["taskUsageList"] = [
            {
                # A JSON number above 2^53, as captured from the provider.
                "taskId": int(task.task_id),
                "parentTaskId": None,
                "taskStatus": str(task.status),
                "usage": reply["usage"],
            }
        ]
    return reply


def failed_reason(reason: Reason) -> Json:
    """Return `failedReason`; some failures come with plain JSON values instead of strings."""
    if not reason.exception_type or not reason.native:
        return wire_v1.failed_reason(reason)
    return {
        "current_outputs": list(reason.current_outputs),
        "exception_type": reason.exception_type,
        "node_name": reason.node_name,
        "current_inputs": reason.current_inputs,
        "traceback": list(reason.traceback),
        "node_id": reason.node_id,
        "exception_message": reason.exception_message,
    }


def uploaded(upload: Upload, download_url: str) -> Json:
    """Return the reply to a binary upload: `message` instead of `msg`."""
    return {
        "code": 0,
        "message": "success",
        "data": {
            "type": upload.kind,
            "download_url": download_url,
            "fileName": upload.name,
            "size": str(upload.size),
        },
    }


def upload_refusal(refused: Refusal) -> Json:
    """Return the reply to a refused upload; a bad key is 401 here."""
    code = 401 if refused.code in {1, 401, 802} else refused.code
    words = v2_text(401) if code == 401 else refused.words("v2")
    return {"code": code, "message": words, "data": None}


def queue_status(account: Account) -> Json:
    """Return queue/status, which has a v1-like envelope."""
    running = sum(task.status is Status.RUNNING for task in account.slots.values())
    data = {
        "apiKeyType": account.api_type,
        "concurrentLimit": account.concurrency,
        "runningCount": str(running),
        "queuedCount": str(account.current - running),
        "totalCurrentTasks": str(account.current),
    }
    return {"code": 0, "msg": "success", "data": data}


def _usage(coins: str | None, cost_s: str) -> Json:
    return {
        "consumeMoney": None,
        "consumeCoins": coins,
        "taskCostTime": cost_s,
        "thirdPartyConsumeMoney": None,
    }
