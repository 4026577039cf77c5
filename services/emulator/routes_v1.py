"""The v1 operations: `/task/openapi`, `/uc/openapi`, `/api/openapi`, `/api/webapp`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.emulator import wire_v1
from services.emulator.call import Call
from services.emulator.catalog import WEBAPPS, WORKFLOWS
from services.emulator.codes import Refusal, v1_text
from services.emulator.edge import Operation, json_reply, start_of
from services.emulator.provider import Provider
from services.emulator.start_reply import wait_for_early_callback
from services.emulator.task import Task

TASK = "/task/openapi"


@dataclass(frozen=True, slots=True)
class RoutesV1:
    """What v1 offers."""

    provider: Provider

    def operations(self) -> Iterator[Operation]:
        """Yield all v1 endpoints."""
        yield from self._starts()
        for path, point, act in (
            (f"{TASK}/status", "query", self._status),
            (f"{TASK}/outputs", "outputs", self._outputs),
            (f"{TASK}/cancel", "cancel", self._cancel),
            ("/uc/openapi/accountStatus", "account", self._account_status),
            ("/api/openapi/getJsonApiFormat", "account", self._workflow_json),
            (f"{TASK}/getWebhookDetail", "account", self._webhook_detail),
            (f"{TASK}/retryWebhook", "account", self._retry_webhook),
        ):
            yield Operation("POST", path, point, "v1", act, wire_v1.refusal)
        yield Operation("POST", f"{TASK}/upload", "upload", "v1", self._upload, _refuse_upload)
        demo = "/api/webapp/apiCallDemo"
        yield Operation("GET", demo, "account", "v1", self._api_call_demo, wire_v1.refusal)

    def _starts(self) -> Iterator[Operation]:
        for path, kind in (
            ("create", "workflow"),
            ("ai-app/run", "webapp"),
            ("quick-ai-app/run", "webapp"),
        ):
            yield self._start_operation(f"{TASK}/{path}", kind)

    def _start_operation(self, path: str, kind: str) -> Operation:
        async def act(call: Call) -> web.StreamResponse:
            if path.endswith("quick-ai-app/run") and not call.text("quickCreateCode"):
                raise Refusal(301)
            task = self.provider.intake.start(start_of(operation, call))
            await wait_for_early_callback(task)
            return json_reply(wire_v1.started(task, self.provider.net_wss_url(task)))

        operation = Operation("POST", path, "start", "v1", act, wire_v1.refusal, kind)
        return operation

    async def _status(self, call: Call) -> web.StreamResponse:
        task = self._task(call)
        return json_reply(wire_v1.status(task, self.provider.settings.cancelled_status))

    async def _outputs(self, call: Call) -> web.StreamResponse:
        task = self._task(call)
        return json_reply(wire_v1.outputs(task, self.provider.net_wss_url(task)))

    async def _cancel(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        if "taskIds" in call.body or not call.text("taskId"):
            raise Refusal(301)
        task = self._task(call)
        done = task.is_final
        self.provider.journal.record("cancel", task_id=task.task_id, too_late=done)
        if done:
            raise Refusal(1, "task cannot cancel")
        self.provider.runner.cancel(task)
        return json_reply(wire_v1.envelope(None))

    async def _upload(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        if call.file is None:
            raise Refusal(301)
        if call.file.is_too_big:
            raise Refusal(809)
        upload = await self.provider.media.save_upload(
            call.key, "api", call.file.name, call.file.data
        )
        record_upload(self.provider, call, upload.name, upload.sha256)
        return json_reply(wire_v1.envelope({"fileName": upload.name, "fileType": "input"}))

    async def _account_status(self, call: Call) -> web.StreamResponse:
        return json_reply(wire_v1.account_status(self.provider.accounts.admit(call.key)))

    async def _workflow_json(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        app = WORKFLOWS.get(call.text("workflowId"))
        if app is None:
            raise Refusal(380)
        if not app.is_saved:
            raise Refusal(810)
        return json_reply(wire_v1.envelope({"prompt": json.dumps(app.graph())}))

    async def _api_call_demo(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        app = WEBAPPS.get(call.text("webappId"))
        if app is None:
            raise Refusal(901)
        return json_reply(wire_v1.api_call_demo(app, self.provider.base_url))

    async def _webhook_detail(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        record = self.provider.webhooks.find(call.key, call.text("taskId"))
        return json_reply(wire_v1.envelope(record.detail()))

    async def _retry_webhook(self, call: Call) -> web.StreamResponse:
        self.provider.accounts.admit(call.key)
        webhook_id, url = call.text("webhookId"), call.text("webhookUrl")
        self.provider.webhooks.redeliver(call.key, webhook_id, url)
        return json_reply(wire_v1.envelope(None))

    def _task(self, call: Call) -> Task:
        self.provider.accounts.admit(call.key)
        task = self.provider.tasks.find(call.key, call.text("taskId"))
        if task is None:
            raise Refusal(807)
        return task


def record_upload(provider: Provider, call: Call, name: str, sha256: str) -> None:
    """Write an upload into the journal."""
    assert call.file is not None  # noqa: S101  an upload without a file was refused before
    provider.journal.record(
        "upload",
        key=call.key,
        generation=call.generation,
        name=name,
        original=call.file.name,
        sha256=sha256,
        bytes=len(call.file.data),
    )


def _refuse_upload(refused: Refusal) -> dict[str, Any]:
    """v1 upload says "no such key" with the catch-all code (reported by a live-tested client)."""
    if refused.code == 802:
        return wire_v1.envelope(None, 1, v1_text(1))
    return wire_v1.refusal(refused)
