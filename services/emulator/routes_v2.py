"""The v2 operations: `/openapi/v2`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from services.emulator import wire_v2
from services.emulator.call import Call
from services.emulator.codes import Refusal, v2_text
from services.emulator.edge import Operation, json_reply, start_of
from services.emulator.provider import Provider
from services.emulator.routes_v1 import record_upload
from services.emulator.start_reply import wait_for_early_callback

ROOT = "/openapi/v2"


@dataclass(frozen=True, slots=True)
class RoutesV2:
    """What v2 offers."""

    provider: Provider

    def operations(self) -> Iterator[Operation]:
        """Yield all v2 endpoints."""
        yield self._start_operation(f"{ROOT}/run/ai-app/{{webappId}}", "webapp")
        yield self._start_operation(f"{ROOT}/run/workflow/{{workflowId}}", "workflow")
        yield Operation("POST", f"{ROOT}/query", "query", "v2", self._query, wire_v2.refusal)
        yield Operation(
            "POST",
            f"{ROOT}/media/upload/binary",
            "upload",
            "v2",
            self._upload,
            wire_v2.upload_refusal,
        )
        for path, act in (("queue/status", self._queue_status), ("api-key/list", self._keys)):
            yield Operation("GET", f"{ROOT}/{path}", "account", "v2", act, _refuse_envelope)

    def _start_operation(self, path: str, kind: str) -> Operation:
        async def act(call: Call) -> web.StreamResponse:
            task = self.provider.intake.start(start_of(operation, call))
            await wait_for_early_callback(task)
            return json_reply(wire_v2.started(task))

        operation = Operation("POST", path, "start", "v2", act, wire_v2.refusal, kind)
        return operation

    async def _query(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        task_id = call.text("taskId")
        task = self.provider.tasks.find(call.key, task_id)
        if task is None:
            return json_reply(wire_v2.refusal(Refusal(1004), task_id))
        return json_reply(wire_v2.query(task, self.provider.settings.cancelled_status))

    async def _upload(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        if call.file is None:
            raise Refusal(1007)
        if call.file.is_too_big:
            raise Refusal(1008)
        media = self.provider.media
        upload = await media.save_upload(call.key, "openapi", call.file.name, call.file.data)
        record_upload(self.provider, call, upload.name, upload.sha256)
        return json_reply(wire_v2.uploaded(upload, media.input_url(upload)))

    async def _queue_status(self, call: Call) -> web.StreamResponse:
        return json_reply(wire_v2.queue_status(self.provider.accounts.admit(call.key)))

    async def _keys(self, call: Call) -> web.StreamResponse:
        account = self.provider.accounts.admit(call.key)
        masked = account.key[:4] + "*" * max(len(account.key) - 8, 0) + account.key[-4:]
        entry = {
            "key": masked,
            "apiKeyName": "default",
            "status": 1,
            "quotaLimit": None,
            "quotaUsed": 0,
            "visible": True,
            "expireAt": None,
            "expireInMinute": None,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json_reply({"code": 0, "msg": "success", "errorMessages": None, "data": [entry]})


def _refuse_envelope(refused: Refusal) -> dict[str, Any]:
    """Refuse in the v1-like envelope; a bad key is 401, which the public SDK tests for."""
    code = 401 if refused.code in {1, 401, 802} else refused.code
    return {"code": code, "msg": v2_text(code), "data": None}
