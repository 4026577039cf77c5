"""Finds the bytes behind a task's inputs: uploads of its account, or URLs fetched as nodes do."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import aiohttp

from services.emulator.catalog import Field
from services.emulator.journal import Journal
from services.emulator.media import MediaStore
from services.emulator.reasons import Reason
from services.emulator.render import Plan, sample_input
from services.emulator.settings import Settings
from services.emulator.task import Task

FETCH_TIMEOUT_S = 30.0
FETCH_LIMIT_BYTES = 256 * 1024 * 1024


class InputMissingError(Exception):
    """A loader's file is not there; `reason` is what the provider reports."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.exception_message)
        self.reason = reason


class InputReader:
    """Turns a task into a rendering plan."""

    def __init__(self, settings: Settings, media: MediaStore, journal: Journal) -> None:
        self._settings, self._media, self._journal = settings, media, journal
        self._session: aiohttp.ClientSession | None = None

    async def plan(self, task: Task) -> Plan:
        """Collect the inputs in the app's order; raise `InputMissingError` where one is gone."""
        given = {(item.node_id, item.name): item.value for item in task.values}
        loaded = []
        for item in task.app.media:
            value = given.get((item.node_id, item.name), "")
            loaded.append((value or item.default, await self._load(task, item, value)))
        wanted = next((item for item in task.app.fields if item.is_resolution), None)
        resolution = (
            int(given.get((wanted.node_id, wanted.name), wanted.default)) if wanted else None
        )
        return Plan(task.app.work, tuple(loaded), resolution, self._settings.render_fast)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _load(self, task: Task, item: Field, value: str) -> bytes:
        if value in {"", item.default}:
            return await asyncio.to_thread(sample_input, item.kind == "VIDEO")
        if value.startswith(("http://", "https://")):
            return await self._fetch(task, item, value)
        upload = self._media.find_upload(task.key, value)
        if upload is None:
            # Another account's upload or one whose day is over: the file is not on the machine.
            raise InputMissingError(_missing(item, value))
        return await asyncio.to_thread(upload.path.read_bytes)

    async def _fetch(self, task: Task, item: Field, url: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": "python-requests/2.32"})
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        try:
            async with self._session.get(url, timeout=timeout) as reply:
                data = await reply.content.read(FETCH_LIMIT_BYTES)
                while not reply.content.at_eof() and len(data) < FETCH_LIMIT_BYTES:
                    data += await reply.content.read(FETCH_LIMIT_BYTES - len(data))
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise InputMissingError(_unreachable(item, url, error)) from None
        self._journal.record(
            "input_fetched",
            task_id=task.task_id,
            path=urlsplit(url).path,
            http_status=status,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        if status != 200:
            raise InputMissingError(_http_error(item, status))
        return data


def _missing(item: Field, value: str) -> Reason:
    place = PurePosixPath("/workspace/ComfyUI/input") / value
    words = f"[Errno 2] No such file or directory: '{place}'"
    return _reason(item, "input_missing", "FileNotFoundError", words)


def _http_error(item: Field, status: int) -> Reason:
    # The words of requests; a server's error says nothing about whether the file is there.
    known = 400 <= status < 500
    words = f"{status} {'Client' if known else 'Server'} Error for url"
    error_class = "input_missing" if known else "unknown"
    return _reason(item, error_class, "requests.exceptions.HTTPError", words)


def _unreachable(item: Field, url: str, error: Exception) -> Reason:
    host = urlsplit(url).netloc
    words = f"HTTPSConnectionPool(host='{host}'): Max retries exceeded ({type(error).__name__})"
    return _reason(item, "infra", "requests.exceptions.ConnectionError", words)


def _reason(item: Field, error_class: str, kind: str, words: str) -> Reason:
    return Reason(
        error_class,
        exception_type=kind,
        exception_message=words,
        node_name=item.node_name,
        node_id=item.node_id,
    )
