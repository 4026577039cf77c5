"""Serves files by link: outputs and uploads, each for its time and with its signature."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.emulator.call import Call
from services.emulator.codes import Refusal
from services.emulator.edge import Operation
from services.emulator.provider import Provider
from services.emulator.task import Output


@dataclass(frozen=True, slots=True)
class Files:
    """The links that replies carry."""

    provider: Provider

    def operations(self) -> Iterator[Operation]:
        """Yield both links; they need no key but a signature."""
        output, given = "/output/{token}/{name}", "/input/{name:.+}"
        yield Operation("GET", output, "file", "", self._output, _refuse)
        yield Operation("GET", given, "file", "", self._input, _refuse)

    async def _output(self, call: Call) -> web.StreamResponse:
        request = call.request
        found = self.provider.media.find_output(
            request.match_info["token"], request.match_info["name"]
        )
        if not isinstance(found, Output):
            return web.Response(status=found)
        if not self._is_signed(request):
            return web.Response(status=403)
        return _file(await asyncio.to_thread(found.read), found.name)

    async def _input(self, call: Call) -> web.StreamResponse:
        if not self._is_signed(call.request):
            return web.Response(status=403)
        name = call.request.match_info["name"]
        data = await asyncio.to_thread(self.provider.media.read_input, name)
        return _file(data, name) if data is not None else web.Response(status=404)

    def _is_signed(self, request: web.Request) -> bool:
        expires, signature = request.query.get("Expires", ""), request.query.get("Signature", "")
        return self.provider.media.is_signed(request.path, expires, signature)


def _file(data: bytes, name: str) -> web.Response:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return web.Response(body=data, content_type=kind)


def _refuse(refused: Refusal) -> dict[str, Any]:
    return {"code": refused.code, "msg": refused.text}
