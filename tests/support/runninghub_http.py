"""Raw HTTP calls of both RunningHub generations, for tests that look at the wire itself."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from PIL import Image

UPSCALER = "2037188547966406658"
UPSCALER_FACE = "2037184937371115522"
POSE_CHANGER = "2018451429635133442"
VESTE_AI = "2018755100210106369"
VIDEO_UPSCALER = "2018810750139109378"
BG_REMOVER = "2031815099811368962"


def photo(width: int = 120, height: int = 80, seed: int = 0) -> bytes:
    """Return a small JPEG; `seed` makes another picture of the same size."""
    image = Image.radial_gradient("L").resize((width, height)).rotate(seed * 7)
    out = io.BytesIO()
    Image.merge("RGB", (image, image.rotate(90), image.rotate(180))).save(out, "JPEG")
    return out.getvalue()


def as_v1_callback(outputs_reply: str) -> bytes:
    """Return the callback of a v1 run: its outputs reply, as text inside eventData."""
    event = {"event": "TASK_END", "taskId": "7", "eventData": outputs_reply}
    return json.dumps(event).encode()


def node(node_id: str, name: str, value: Any) -> dict[str, Any]:
    """Return one entry of a nodeInfoList."""
    return {"nodeId": node_id, "fieldName": name, "fieldValue": value}


@dataclass(frozen=True)
class RawClient:
    """Sends what a test says and returns what came back, unread."""

    base_url: str
    key: str
    http: aiohttp.ClientSession

    async def v1(self, path: str, **body: Any) -> dict[str, Any]:
        """POST to a v1 path with the key in the body."""
        return await self._json("POST", path, {"apiKey": self.key, **body}, {})

    async def v2(self, path: str, **body: Any) -> dict[str, Any]:
        """POST to a v2 path with the key as Bearer."""
        return await self._json("POST", f"/openapi/v2/{path}", body, self._bearer())

    async def v2_get(self, path: str) -> dict[str, Any]:
        """GET a v2 path with the key as Bearer."""
        return await self._json("GET", f"/openapi/v2/{path}", None, self._bearer())

    async def upload(self, data: bytes, name: str = "photo.jpg") -> str:
        """Upload through v2 and return the name to use as a fieldValue."""
        reply = await self.upload_v2(data, name)
        return str(reply["data"]["fileName"])

    async def upload_v2(self, data: bytes, name: str = "photo.jpg") -> dict[str, Any]:
        """Upload through v2 and return the whole reply."""
        form = aiohttp.FormData()
        form.add_field("file", data, filename=name)
        url = f"{self.base_url}/openapi/v2/media/upload/binary"
        async with self.http.post(url, data=form, headers=self._bearer()) as reply:
            return dict(await reply.json())

    async def upload_v1(self, data: bytes, name: str = "photo.jpg") -> dict[str, Any]:
        """Upload through v1, the key as a form field."""
        form = aiohttp.FormData()
        form.add_field("apiKey", self.key)
        form.add_field("fileType", "input")
        form.add_field("file", data, filename=name)
        url = f"{self.base_url}/task/openapi/upload"
        async with self.http.post(url, data=form) as reply:
            return dict(await reply.json())

    async def start(self, app: str = UPSCALER, **body: Any) -> dict[str, Any]:
        """Start an app through v2, by default the Upscaler on its example image."""
        return await self.v2(f"run/ai-app/{app}", **{"nodeInfoList": [], **body})

    async def finished(self, task_id: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Poll by v2 query until the task is neither queued nor running."""
        async with asyncio.timeout(timeout_s):
            while True:
                reply = await self.v2("query", taskId=task_id)
                if reply["status"] not in {"QUEUED", "RUNNING"}:
                    return reply
                await asyncio.sleep(0.01)

    async def run(self, app: str = UPSCALER, **body: Any) -> dict[str, Any]:
        """Start an app and return its final query reply."""
        started = await self.start(app, **body)
        assert started["errorCode"] == "", started
        return await self.finished(started["taskId"])

    async def download(self, url: str) -> tuple[int, bytes]:
        """Fetch a link; return status and bytes."""
        async with self.http.get(url) as reply:
            return reply.status, await reply.read()

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def _json(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> dict[str, Any]:
        url = self.base_url + path
        async with self.http.request(method, url, json=body, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            return dict(await reply.json())
