"""Wraps each provider operation: read the call, let a fault strike, answer in the right form."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.emulator.call import Call, read_call
from services.emulator.codes import Refusal
from services.emulator.faults import FaultSpec, Subject
from services.emulator.intake import Start
from services.emulator.provider import Provider

Act = Callable[[Call], Awaitable[web.StreamResponse]]
Refuse = Callable[[Refusal], dict[str, Any]]
SLOW_ANSWER_S = 60.0
_NO_LINGER = struct.pack("ii", 1, 0)
_HTML = """<!DOCTYPE html>
<html><head><title>{status} {reason}</title></head>
<body><center><h1>{status} {reason}</h1></center><hr><center>cloudflare</center></body></html>
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: where it is, what it does, how it says no. `kind` is set for starts."""

    method: str
    path: str
    point: str
    generation: str
    act: Act
    refuse: Refuse
    kind: str = ""


def json_reply(payload: Any) -> web.Response:
    """Return a JSON answer. Business errors too are HTTP 200."""
    text = json.dumps(payload, ensure_ascii=False)
    return web.Response(text=text, content_type="application/json")


def start_of(operation: Operation, call: Call) -> Start:
    """Return the start that a call asks for."""
    target = call.text("webappId" if operation.kind == "webapp" else "workflowId")
    return Start(call.number, call.generation, operation.kind, call.key, target, call.body)


@dataclass(frozen=True, slots=True)
class Edge:
    """Serves operations of one provider."""

    provider: Provider

    def handler(
        self, operation: Operation
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the HTTP handler of an operation."""

        async def handle(request: web.Request) -> web.StreamResponse:
            limit = self.provider.settings.upload_limit_bytes
            try:
                call = await read_call(request, operation.point, operation.generation, limit)
            except ConnectionError:
                # Never received as a whole, so it never happened; nobody hears this answer.
                self.provider.journal.record("call_cut_off", path=request.path)
                return web.Response(status=400)
            if operation.kind:
                self._record_start(operation, call)
            fault = self.provider.faults.decide_call(self._subject(operation, call))
            if fault is None:
                return await self._answer(operation, call)
            self.provider.journal.record(
                "fault", point=operation.point, key=call.key, call=call.number, fault=fault.facts()
            )
            return await self._strike(operation, call, fault)

        return handle

    async def _answer(self, operation: Operation, call: Call) -> web.StreamResponse:
        try:
            if not call.is_readable:
                raise Refusal(301 if call.generation == "v1" else 1007)
            return await operation.act(call)
        except Refusal as refused:
            if operation.kind:
                self._record_refusal(call, refused)
            return json_reply(operation.refuse(refused))

    async def _strike(
        self, operation: Operation, call: Call, fault: FaultSpec
    ) -> web.StreamResponse:
        """Let a fault happen to this call, before or after the act itself."""
        if fault.action == "code":
            return await self._answer_code(operation, call, fault)
        if fault.action == "no_money":
            account = self.provider.accounts.find(call.key)
            if account is not None:
                account.coins = 0
            return await self._answer(operation, call)
        if fault.action == "outputs_null":
            return json_reply({"code": 0, "msg": "success", "errorMessages": None, "data": None})
        seconds = fault.seconds
        if fault.action == "slow_answer" and fault.when == "before":
            await self.provider.pace.sleep(SLOW_ANSWER_S if seconds is None else seconds)
        acts = fault.when == "after" or fault.action == "slow_answer"
        reply = await self._answer(operation, call) if acts else None
        if reply is None and operation.kind:
            self.provider.journal.record("start_dropped", call=call.number, action=fault.action)
        return await self._spoil(call, fault, reply)

    async def _spoil(
        self, call: Call, fault: FaultSpec, reply: web.StreamResponse | None
    ) -> web.StreamResponse:
        """Answer wrongly, late or not at all."""
        if fault.action == "http":
            return _http_error(fault)
        if fault.action == "garbage":
            return web.Response(text='{"code":0,"msg":"succ', content_type="application/json")
        if fault.action == "reset":
            _reset(call.request)
        elif fault.action == "hang":
            await self._hang(call.request, fault.seconds)
            _reset(call.request)
        elif fault.action == "slow_answer" and fault.when == "after":
            late_s = SLOW_ANSWER_S if fault.seconds is None else fault.seconds
            await self.provider.pace.sleep(late_s)
        return reply if reply is not None else web.Response()

    async def _answer_code(
        self, operation: Operation, call: Call, fault: FaultSpec
    ) -> web.StreamResponse:
        """Refuse with a code. A v2 refusal may carry the id of a task, real or not."""
        refused = Refusal(fault.code, fault.text)
        payload = operation.refuse(refused)
        if operation.kind and fault.task_id == "accepted":
            try:
                task = self.provider.intake.start(start_of(operation, call))
            except Refusal as truly_refused:
                self._record_refusal(call, truly_refused)
                return json_reply(operation.refuse(truly_refused))
            carried = {"taskId": task.task_id, "status": "RUNNING"}
        elif operation.kind:
            self._record_refusal(call, refused)
            fake = {"taskId": self.provider.tasks.new_id(), "status": "RUNNING"}
            carried = fake if fault.task_id == "refused" else {}
        else:
            carried = {"taskId": call.text("taskId")} if operation.point == "query" else {}
        if "taskId" in payload:  # v1 has no place for it
            payload.update(carried)
        if fault.int_code and "errorCode" in payload:
            payload["errorCode"] = int(payload["errorCode"])
        return json_reply(payload)

    async def _hang(self, request: web.Request, seconds: float | None) -> None:
        """Keep silent until the client gives up, or for some provider seconds."""
        pace = self.provider.pace
        until = None if seconds is None else time.monotonic() + pace.real_s(seconds)
        while request.transport is not None and not request.transport.is_closing():
            if until is not None and time.monotonic() >= until:
                return
            await asyncio.sleep(0.02)

    def _record_start(self, operation: Operation, call: Call) -> None:
        start = start_of(operation, call)
        url = str(call.body.get("webhookUrl") or "")
        entry = self.provider.journal.record(
            "start_received",
            generation=call.generation,
            kind=operation.kind,
            key=call.key,
            target=start.target,
            webhook_url=url,
            body=call.body,
        )
        call.number = entry["n"]

    def _record_refusal(self, call: Call, refused: Refusal) -> None:
        self.provider.journal.record(
            "start_refused",
            call=call.number,
            key=call.key,
            code=refused.code,
            text=refused.words(call.generation),
        )

    def _subject(self, operation: Operation, call: Call) -> Subject:
        """Return what rules see of this call; for one about a task, that task's app and values."""
        if operation.kind:
            return self.provider.intake.subject(start_of(operation, call))
        task = self.provider.tasks.find(call.key, call.text("taskId"))
        names = tuple(item.value for item in task.values) if task is not None else ()
        if call.file is not None:
            names = (call.file.name,)
        return Subject(
            operation.point,
            operation.generation,
            call.key,
            task.app.app_id if task is not None else "",
            task.instance_type if task is not None else "",
            names or (call.request.path,),
        )


def _http_error(fault: FaultSpec) -> web.Response:
    status = fault.status or 502
    reason = {429: "Too Many Requests", 502: "Bad Gateway", 503: "Service Unavailable"}.get(
        status, "Error"
    )
    if fault.html:
        text = _HTML.format(status=status, reason=reason)
        return web.Response(status=status, text=text, content_type="text/html")
    text = json.dumps({"code": status, "msg": fault.text or reason, "data": None})
    return web.Response(status=status, text=text, content_type="application/json")


def _reset(request: web.Request) -> None:
    """Cut the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    handle = transport.get_extra_info("socket")
    if handle is not None:
        # A duplicate shares the socket's options; event loops hide the original's setter.
        with socket.socket(fileno=os.dup(handle.fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
