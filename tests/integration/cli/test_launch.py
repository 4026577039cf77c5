from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.child import kill_group, launch_command, spawn, wait_exit
from services.cli.launch import EXIT_NOT_LAUNCHED
from tests.support.waiting import wait_until


def start(tmp_path: Path, *command: str) -> subprocess.Popen[bytes]:
    return spawn(command, env={"PATH": os.defpath}, log=tmp_path / "log")


async def test_the_exit_code_is_the_programs_own(tmp_path: Path) -> None:
    assert await wait_exit(start(tmp_path, "sh", "-c", "echo said; exit 7")) == 7
    assert (tmp_path / "log").read_text() == "said\n"


async def test_a_death_by_signal_is_told_as_such(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    kill_group(process, signal.SIGKILL)
    assert await wait_exit(process) == -signal.SIGKILL


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert await wait_exit(start(tmp_path, "no-such-program")) == EXIT_NOT_LAUNCHED
    assert "cannot launch no-such-program" in (tmp_path / "log").read_text()


def test_nothing_is_started_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    command = launch_command(["touch", str(tmp_path / "started")])
    stale = [part.replace(f"--parent={os.getpid()}", "--parent=1") for part in command]
    assert subprocess.run(stale, check=False).returncode == EXIT_NOT_LAUNCHED
    assert not (tmp_path / "started").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_a_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from services.cli.child import spawn\n"
        f"child = spawn(['sleep', '60'], env=os.environ, log=Path({str(tmp_path / 'log')!r}))\n"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    parent.kill()
    parent.communicate()
    wait_until(lambda: is_gone(child))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
