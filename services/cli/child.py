"""One child process: spawned so that it dies with us, waited for without threads.

The tie is Linux's parent-death signal, set by `launch` in the child. It follows the *thread*
that spawned the child, so `spawn` is called from a thread that lives as long as the process
does (the main thread, or the one that runs the event loop), never from a thread pool.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a command runs: unchanged, in a new user namespace, or as another account."""

    new_namespace: bool = False
    uid: int | None = None
    gid: int | None = None

    def options(self) -> list[str]:
        """Return the options of `launch` that take on this identity."""
        if self.new_namespace:
            return ["--new-namespace"]
        return [] if self.uid is None else ["--account", f"{self.uid}:{self.gid}"]


SAME = Identity()


def launch_command(
    command: Sequence[str],
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity = SAME,
    folder: Path | None = None,
) -> list[str]:
    """Return the command line that runs `command` tied to this process's life."""
    launch = [sys.executable, "-m", "services.cli.launch", f"--parent={os.getpid()}"]
    place = [] if folder is None else [f"--chdir={folder}"]
    return [
        *launch,
        f"--death-signal={int(death_signal)}",
        *identity.options(),
        *place,
        "--",
        *command,
    ]


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity = SAME,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command`, its output appended to `log`, in a session of its own.

    Its own session keeps the terminal's Ctrl-C to us alone: we decide the order of the end.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command line, no shell
            launch_command(command, death_signal, identity, folder),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def wait_exit(process: subprocess.Popen[bytes]) -> int:
    """Wait until the process is gone; return its exit code, negative for a signal."""
    if process.poll() is None:
        await _wait_gone(process)
    return process.wait()


def kill_group(process: subprocess.Popen[bytes], signal_: signal.Signals) -> None:
    """Signal the child and what it started in its session, if it still runs."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal_)


async def _wait_gone(process: subprocess.Popen[bytes]) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        while process.poll() is None:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(_POLL_S)
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
