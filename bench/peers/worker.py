"""Worker processes: how the web process starts and ends them, and how they begin."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping

from bench.peers.peer import Done, Peer, Settings
from bench.peers.python_peer import PythonPeer

_READY_LIMIT_S = 60.0
_END_LIMIT_S = 10.0


async def start(peer: Peer, settings: Settings, done: int) -> list[Process]:
    """Start the worker processes; return when each is ready to take jobs."""
    env = {**os.environ, **settings.to_env(), "BENCH_DONE_FD": str(done)}
    processes = []
    for number in range(settings.workers):
        process = await asyncio.create_subprocess_exec(
            *peer.worker_command(),
            env={**env, "BENCH_WORKER": str(number)},
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(done,),
        )
        processes.append(process)
        await asyncio.wait_for(_read_ready(process), _READY_LIMIT_S)
    return processes


async def end(processes: list[Process]) -> None:
    """End the worker processes; they hold nothing that must be closed."""
    for process in processes:
        if process.returncode is None:
            process.terminate()
    for process in processes:
        try:
            await asyncio.wait_for(process.wait(), _END_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def main(peer: PythonPeer, env: Mapping[str, str]) -> None:
    """Be a worker process until killed or until the web process is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    done = Done(int(env["BENCH_DONE_FD"]))
    peer.work(Settings.from_env(env), int(env["BENCH_WORKER"]), done)


def say_ready() -> None:
    """Tell the web process that this worker takes jobs."""
    print("ready", flush=True)


async def _read_ready(process: Process) -> None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    async for line in process.stdout:
        if line.strip() == b"ready":
            return
    raise RuntimeError(f"a worker ended with {await process.wait()} before it was ready")


def _end_with_parent() -> None:
    # The other end closes when the web process ends, however it ends. Read without a buffer:
    # a thread inside sys.stdin would hold its lock at exit.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
