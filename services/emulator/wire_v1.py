"""The v1 forms: `{code, msg, errorMessages, data}` and what goes into `data`."""

from __future__ import annotations

import json
from typing import Any

from services.emulator.accounts import Account
from services.emulator.catalog import OUTPUT_NODE, App, Field
from services.emulator.codes import Refusal, v1_text
from services.emulator.reasons import Reason
from services.emulator.task import Status, Task

Json = dict[str, Any]


def envelope(data: Any, code: int = 0, msg: str = "success") -> Json:
    """Return the v1 envelope."""
    return {"code": code, "msg": msg, "errorMessages": None, "data": data}


def refusal(refused: Refusal) -> Json:
    """Return the envelope of a refused request."""
    return envelope(None, refused.code, refused.words("v1"))


def started(task: Task, net_wss_url: str | None) -> Json:
    """Return the reply to create and run. A queued task has no progress address yet."""
    return envelope(
        {
            "netWssUrl": net_wss_url if task.status is Status.RUNNING else None,
            "taskId": task.task_id,
            "clientId": task.client_id,
            # The public SDK raises on any word but these two.
            "taskStatus": str(Status.QUEUED if task.status is Status.QUEUED else Status.RUNNING),
            "promptTips": task.prompt_tips,
        }
    )


def status(task: Task, cancelled_status: str) -> Json:
    """Return the status reply: `data` is a bare string, `msg` empty."""
    return envelope(_status_word(task, cancelled_status), msg="")


def _status_word(task: Task, cancelled_status: str) -> str:
    # v1 documents four words. Where v2 shows an empty status after a cancel, v1 clients would
    # raise on "", so a cancelled task then counts as FAILED (our choice; no source settles it).
    if task.status is Status.CANCEL:
        return cancelled_status or str(Status.FAILED)
    return str(task.status)


def outputs(task: Task, net_wss_url: str) -> Json:
    """Return the outputs reply, whose code is the state: 813, 804, 805 or 0."""
    if task.status is Status.QUEUED:
        return envelope(None, 813, v1_text(813))
    if task.status is Status.RUNNING:
        return envelope({"netWssUrl": net_wss_url}, 804, v1_text(804))
    if task.status is Status.SUCCESS:
        return envelope([_output(task, index) for index in range(len(task.outputs))])
    reason = failed_reason(task.reason) if task.reason is not None else {}
    return envelope({"failedReason": reason} if reason else None, 805, v1_text(805))


def _output(task: Task, index: int) -> Json:
    output = task.outputs[index]
    return {
        "fileUrl": output.url,
        "fileType": output.extension,
        "taskCostTime": str(task.cost_s),
        "nodeId": OUTPUT_NODE,
        "thirdPartyConsumeMoney": None,
        "consumeMoney": None,
        "consumeCoins": str(task.coins),
    }


def failed_reason(reason: Reason) -> Json:
    """Return `failedReason` with its lists and maps as JSON inside strings."""
    if not reason.exception_type:
        return {}
    return {
        "current_outputs": json.dumps(list(reason.current_outputs)),
        "exception_type": reason.exception_type,
        "node_name": reason.node_name,
        "current_inputs": json.dumps(reason.current_inputs),
        "traceback": json.dumps(list(reason.traceback)),
        "node_id": reason.node_id,
        "exception_message": reason.exception_message,
    }


def account_status(account: Account) -> Json:
    """Return accountStatus: all figures are strings."""
    return envelope(
        {
            "remainCoins": str(account.coins),
            "currentTaskCounts": str(account.current),
            "remainMoney": account.money,
            "currency": account.currency,
            "apiType": account.api_type,
        }
    )


def node_info(item: Field) -> Json:
    """Return one entry of apiCallDemo's nodeInfoList."""
    return {
        "nodeId": item.node_id,
        "nodeName": item.node_name,
        "fieldName": item.name,
        "fieldValue": item.default,
        "fieldData": "",
        "fieldType": item.kind,
        "description": item.description,
        "descriptionEn": item.description,
    }


def api_call_demo(app: App, base_url: str) -> Json:
    """Return apiCallDemo: everything a caller may set, and a curl line that does."""
    nodes = [node_info(item) for item in app.fields]
    body = {
        "webappId": app.app_id,
        "apiKey": "YOUR_API_KEY",
        "nodeInfoList": [
            {name: node[name] for name in ("nodeId", "fieldName", "fieldValue", "description")}
            for node in nodes
        ],
    }
    curl = (
        f"curl --location --request POST '{base_url}/task/openapi/ai-app/run' "
        "--header 'Content-Type: application/json' "
        f"--data-raw '{json.dumps(body)}'"
    )
    statistics = dict.fromkeys(
        ("likeCount", "downloadCount", "useCount", "pv", "collectCount"), "0"
    )
    return envelope(
        {
            "curl": curl,
            "accessEncrypted": False,
            "webappName": app.name,
            "nodeInfoList": nodes,
            "covers": [],
            "tags": [],
            "statisticsInfo": statistics,
        }
    )
