"""Keeps a few media worker processes, bounded in number, memory and time.

A worker that runs over its time or dies takes its file with it, never the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from services.runtime.log import get_log
from services.tools.domain import MediaBusyError, MediaTooCostlyError, Text, bad_media
from services.tools.tool import MediaInput
from services.tools.worker_wire import Answer, Broken, Ready, Refused, Task

log = get_log(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_MAX_LINE_BYTES = 64 * 1024


class WorkerPool:
    """At most `size` workers, started when first needed and kept. Close it at the end."""

    def __init__(self, size: int, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(size)
        self._idle: list[asyncio.subprocess.Process] = []

    async def run(self, task: Task, limit_s: float) -> Ready:
        """Prepare one file. Raises a `BadMediaError`, or `MediaBusyError` without a worker.

        `limit_s` bounds the work, not the wait for a free worker.
        """
        async with self._free:
            worker = self._idle.pop() if self._idle else await self._start()
            try:
                async with asyncio.timeout(limit_s):
                    answer = await _ask(worker, task)
            except TimeoutError as err:
                await _end(worker)
                raise _too_slow(task.rule, limit_s) from err
            except BaseException:
                await asyncio.shield(_end(worker))
                raise
            if answer is None:
                await _end(worker)
                log.warning("media_worker_died", exit_code=worker.returncode, media=task.rule.name)
                raise _died(task.rule, worker.returncode)
            self._idle.append(worker)
        if isinstance(answer, Refused):
            if answer.unexpected:
                log.warning("media_decoder_raised", media=task.rule.name, **answer.facts)
            text = Text(answer.pt, answer.en)
            raise bad_media(answer.reason, task.rule.name, text, answer.facts)
        if isinstance(answer, Broken):
            raise MediaBusyError(f"the media worker cannot work: {answer.why}")
        return answer

    def worker_ids(self) -> list[int]:
        """Return the process ids of the workers that wait for a file."""
        return [worker.pid for worker in self._idle]

    async def close(self) -> None:
        """End the idle workers. Call it when no `run` is under way."""
        while self._idle:
            await _end(self._idle.pop())

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.tools.media_worker",
                str(self._memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_MAX_LINE_BYTES,
                # Nothing of our environment, where keys may be, reaches a process that reads
                # hostile files; and a Ctrl-C for the service must not cut its drain short.
                env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as err:
            raise MediaBusyError(f"no media worker can be started: {err}") from err


async def _ask(worker: asyncio.subprocess.Process, task: Task) -> Answer | None:
    """Return the worker's answer, or None if it died."""
    if worker.stdin is None or worker.stdout is None:
        return None
    try:
        worker.stdin.write(msgspec.json.encode(task) + b"\n")
        await worker.stdin.drain()
        line = await worker.stdout.readline()
    except (BrokenPipeError, ConnectionResetError):
        return None
    return msgspec.json.decode(line, type=Answer) if line.endswith(b"\n") else None


async def _end(worker: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.kill()
    await worker.wait()
    if worker.stdin is not None:
        worker.stdin.close()


def _too_slow(rule: MediaInput, limit_s: float) -> MediaTooCostlyError:
    return MediaTooCostlyError(
        rule.name,
        Text(
            f"Ler o arquivo leva mais de {limit_s:g} s. Envie uma versão menor ou mais simples.",
            f"Reading the file takes more than {limit_s:g} s. Send a smaller or simpler version.",
        ),
        {"limit_s": f"{limit_s:g}"},
    )


def _died(rule: MediaInput, exit_code: int | None) -> MediaTooCostlyError:
    return MediaTooCostlyError(
        rule.name,
        Text(
            "O arquivo derrubou o leitor. Exporte-o de novo, menor ou como JPEG ou MP4, e envie.",
            "The file broke its reader. Export it again, smaller or as JPEG or MP4, and send it.",
        ),
        {"exit_code": str(exit_code)},
    )
