"""The provider's replies and callbacks: RunningHub v2 in form, about 2 KB each. Pure.

Forms: docs/runninghub-api.md §3.1 and §4, read 2026-11-24. The filling is what such bodies hold,
the tips on a workflow's nodes, with changing figures, so that it compresses as theirs would.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

BODY_BYTES = 2048
# Bodies are made once for so many fillings; after that only the task id is put in.
_FILLINGS = 64
_PLACE = "1" + "8" * 18


def accepted(task_id: str) -> bytes:
    """Return the reply to a start call."""
    return _accepted(int(task_id) % _FILLINGS).replace(_PLACE.encode(), task_id.encode())


def succeeded(task_id: str) -> bytes:
    """Return the reply to a query of a finished task: one text result."""
    return _succeeded(int(task_id) % _FILLINGS).replace(_PLACE.encode(), task_id.encode())


def callback(task_id: str) -> bytes:
    """Return the TASK_END callback of a finished task."""
    return _callback(int(task_id) % _FILLINGS).replace(_PLACE.encode(), task_id.encode())


def example() -> bytes:
    """Return the reply to a query with a filling that no task has."""
    return _succeeded(_FILLINGS * 16)


@cache
def _accepted(filling: int) -> bytes:
    return _filled({**_task("RUNNING"), "results": None}, filling)


@cache
def _succeeded(filling: int) -> bytes:
    return _filled(_success(filling), filling)


@cache
def _callback(filling: int) -> bytes:
    inner = json.loads(_filled(_success(filling), filling))
    outer = {"event": "TASK_END", "taskId": _PLACE, "eventData": inner}
    return json.dumps(outer, separators=(",", ":")).encode()


def _task(status: str) -> dict[str, Any]:
    return {
        "taskId": _PLACE,
        "status": status,
        "errorCode": "",
        "errorMessage": "",
        "failedReason": {},
        "clientId": _digest(status)[:32],
    }


def _success(filling: int) -> dict[str, Any]:
    return {
        **_task("SUCCESS"),
        "results": [{"url": None, "nodeId": "1", "outputType": "txt", "text": "ok"}],
        "usage": {
            "consumeMoney": None,
            "consumeCoins": str(filling),
            "taskCostTime": "0",
            "thirdPartyConsumeMoney": None,
        },
    }


def _filled(body: dict[str, Any], filling: int) -> bytes:
    """Fill with promptTips, a JSON text inside the JSON, up to 2 KB or a little more."""
    digest = _digest(str(filling)) * 2
    notes: list[str] = []
    while True:
        tips = {"result": True, "error": None, "outputs_to_execute": ["1"], "notes": notes}
        filled = {**body, "promptTips": json.dumps(tips, separators=(",", ":"))}
        text = json.dumps(filled, separators=(",", ":")).encode()
        if len(text) >= BODY_BYTES:
            return text
        at = len(notes) * 7 % 64
        seed = digest[at : at + 8]
        notes.append(f"node {len(notes)} KSampler seed {seed} steps {len(notes) * 5 % 60}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
