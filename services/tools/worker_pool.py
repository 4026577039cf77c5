"""Keeps a few media worker processes, bounded in number, memory and time.

A worker that runs over its time or dies takes its file with it, never the service.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.runtime.log import get_log
from services.tools.domain import MediaBusyError, MediaTooCostlyError, Text, bad_media
from services.tools.tool import MediaInput
from services.tools.worker_wire import READY, Answer, Broken, Ready, Refused, Task

log = get_log(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_MAX_LINE_BYTES = 64 * 1024
_START_S = 30.0
# A worker may die of something else than its file (memory, an operator): only twice is proof.
_TRIES = 2


class WorkerPool:
    """At most `size` workers, started when first needed and kept. Close it at the end."""

    def __init__(self, size: int, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._live: set[_Worker] = set()

    async def run(self, task: Task, limit_s: float) -> Ready:
        """Prepare one file. Raises a `BadMediaError`, or `MediaBusyError` without a worker.

        `limit_s` bounds the work, not the wait for a free worker.
        """
        async with self._free:
            answer = await self._answer(task, limit_s)
        if isinstance(answer, Refused):
            if answer.unexpected:
                log.warning("media_decoder_raised", media=task.rule.name, **answer.facts)
            text = Text(answer.pt, answer.en)
            raise bad_media(answer.reason, task.rule.name, text, answer.facts)
        if isinstance(answer, Broken):
            raise MediaBusyError(f"the media worker cannot work: {answer.why}")
        return answer

    async def _answer(self, task: Task, limit_s: float) -> Answer:
        for _ in range(_TRIES):
            worker = self._idle.pop() if self._idle else await self._start()
            answer = await self._ask(worker, task, limit_s)
            if answer is not None:
                self._idle.append(worker)
                return answer
            exit_code = await self._end(worker)
            log.warning("media_worker_died", exit_code=exit_code, media=task.rule.name)
        raise _died(task.rule, exit_code)

    async def _ask(self, worker: _Worker, task: Task, limit_s: float) -> Answer | None:
        try:
            async with asyncio.timeout(limit_s):
                return await _ask(worker, task)
        except TimeoutError as err:
            await self._end(worker)
            raise _too_slow(task.rule, limit_s) from err
        except BaseException:
            await asyncio.shield(self._end(worker))
            raise

    async def _start(self) -> _Worker:
        worker = await _start(self._memory_bytes)
        self._live.add(worker)
        return worker

    async def _end(self, worker: _Worker) -> int:
        self._live.discard(worker)
        return await _end(worker)

    def worker_ids(self) -> list[int]:
        """Return the process ids of the live workers."""
        return [worker.process.pid for worker in self._live]

    async def close(self) -> None:
        """End the idle workers. Call it when no `run` is under way."""
        while self._idle:
            await self._end(self._idle.pop())


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _start(memory_bytes: int) -> _Worker:
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.to_thread(_spawn, memory_bytes, theirs.fileno())
    except OSError as err:
        ours.close()
        raise MediaBusyError(f"no media worker can be started: {err}") from err
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours, limit=_MAX_LINE_BYTES)
    worker = _Worker(process, reader, writer)
    try:
        async with asyncio.timeout(_START_S):
            is_ready = await reader.readline() == READY
    except (TimeoutError, ConnectionError):
        is_ready = False
    except BaseException:
        await asyncio.shield(_end(worker))
        raise
    if not is_ready:
        exit_code = await _end(worker)
        raise MediaBusyError(f"a media worker did not start (exit code {exit_code})")
    return worker


def _spawn(memory_bytes: int, descriptor: int) -> subprocess.Popen[bytes]:
    # Not asyncio's own subprocess: under uvloop that forks, and a fork of a process with a
    # live gRPC core now and then dies in its fork handlers (grpcio 1.85, seen 2026-11-24).
    # Popen uses vfork, which runs none.
    return subprocess.Popen(  # noqa: S603 - a fixed command of our own
        [sys.executable, "-m", "services.tools.media_worker", str(memory_bytes)],
        stdin=descriptor,
        stdout=descriptor,
        # Nothing of our environment, where keys may be, reaches a process that reads hostile
        # files; and a Ctrl-C for the service must not cut its drain short.
        env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
        start_new_session=True,
    )


async def _ask(worker: _Worker, task: Task) -> Answer | None:
    """Return the worker's answer, or None if it died."""
    try:
        worker.writer.write(msgspec.json.encode(task) + b"\n")
        await worker.writer.drain()
        line = await worker.reader.readline()
    except ConnectionError:
        return None
    return msgspec.json.decode(line, type=Answer) if line.endswith(b"\n") else None


async def _end(worker: _Worker) -> int:
    worker.process.kill()
    worker.writer.close()
    return await asyncio.to_thread(worker.process.wait)


def _too_slow(rule: MediaInput, limit_s: float) -> MediaTooCostlyError:
    return MediaTooCostlyError(
        rule.name,
        Text(
            f"Ler o arquivo leva mais de {limit_s:g} s. Envie uma versão menor ou mais simples.",
            f"Reading the file takes more than {limit_s:g} s. Send a smaller or simpler version.",
        ),
        {"limit_s": f"{limit_s:g}"},
    )


def _died(rule: MediaInput, exit_code: int) -> MediaTooCostlyError:
    return MediaTooCostlyError(
        rule.name,
        Text(
            "O arquivo derrubou o leitor. Exporte-o de novo, menor ou como JPEG ou MP4, e envie.",
            "The file broke its reader. Export it again, smaller or as JPEG or MP4, and send it.",
        ),
        {"exit_code": str(exit_code)},
    )
