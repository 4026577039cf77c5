"""Sends ComfyUI's progress frames over the websocket whose address is `netWssUrl`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from services.emulator.catalog import OUTPUT_NODE
from services.emulator.provider import Provider, progress_credential
from services.emulator.task import Status, Task

STEPS = 20
SMALLEST_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """The websocket endpoint `/ws/c_instance`."""

    provider: Provider

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Follow one task to its end; 404 for an unknown client, 401 for a wrong credential."""
        task = self.provider.tasks.by_client(request.query.get("clientId", ""))
        if task is None:
            return web.Response(status=404)
        if request.query.get("Rh-Comfy-Auth") != progress_credential(task):
            return web.Response(status=401)
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        ear = asyncio.create_task(_listen(socket), name=f"progress {task.task_id}")
        try:
            await self._tell(socket, task)
        except ConnectionError:
            pass  # the client left; frames are a courtesy
        finally:
            ear.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ear
            await socket.close()
        return socket

    async def _tell(self, socket: web.WebSocketResponse, task: Task) -> None:
        await _send(socket, "status", {"status": {"exec_info": {"queue_remaining": 1}}})
        while task.status is Status.QUEUED and not socket.closed:
            await self._pause(task)
        prompt = {"prompt_id": task.client_id}
        nodes = [item.node_id for item in task.app.media]
        await _send(socket, "execution_start", prompt)
        await _send(socket, "execution_cached", {"nodes": nodes, **prompt})
        await _send(socket, "executing", {"node": OUTPUT_NODE, **prompt})
        shown = -1
        while not socket.closed:
            share = task.progress(time.time(), self.provider.pace.scale)
            ended_well = task.status is Status.SUCCESS
            value = STEPS if ended_well else min(int(share * STEPS), STEPS - 1)
            if value != shown and (ended_well or not task.is_final):
                shown = value
                data = {"value": value, "max": STEPS, "node": OUTPUT_NODE, **prompt}
                await _send(socket, "progress", data)
            if task.is_final:
                break
            await self._pause(task)
        await self._tell_end(socket, task, prompt)

    async def _tell_end(
        self, socket: web.WebSocketResponse, task: Task, prompt: dict[str, Any]
    ) -> None:
        if task.status is Status.SUCCESS:
            await _send(socket, "executed", {"node": OUTPUT_NODE, "output": {}, **prompt})
            await _send(socket, "executing", {"node": None, **prompt})
            await _send(socket, "execution_success", prompt)
        elif task.reason is not None:
            reason = task.reason
            error = {
                "node_id": reason.node_id,
                "node_type": reason.node_name,
                "exception_type": reason.exception_type,
                "exception_message": reason.exception_message,
                **prompt,
            }
            await _send(socket, "execution_error", error)
        else:
            await _send(socket, "execution_interrupted", prompt)

    async def _pause(self, task: Task) -> None:
        """Wait for the task's next change, at most for one step of its run."""
        step_s = max(self.provider.pace.real_s(task.run_s) / STEPS, SMALLEST_PAUSE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task.changed.wait(), step_s)


async def _listen(socket: web.WebSocketResponse) -> None:
    """Read what the client sends, so that its close is noticed."""
    async for message in socket:
        if message.type in {WSMsgType.CLOSE, WSMsgType.ERROR}:
            return


async def _send(socket: web.WebSocketResponse, kind: str, data: dict[str, Any]) -> None:
    if socket.closed:
        raise ConnectionResetError
    await socket.send_json({"type": kind, "data": data})
