from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.postgres_remnants import server_processes
from tests.support.waiting import wait_until

Up = subprocess.Popen[str]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.run_stack", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def read_until(up: Up, words: str) -> list[str]:
    assert up.stdout is not None
    lines = []
    for line in up.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"ended without {words!r}: {lines}")


def processes_of(home: Path) -> set[int]:
    """Return every live process that has a file of this stack open or works in its folder."""
    found = set(server_processes(home / "postgres" / "data"))
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            output = os.readlink(f"/proc/{entry}/fd/1")
        except OSError:
            continue
        if output.startswith(str(home)):
            found.add(int(entry))
    return found


def test_up_says_what_is_ready_and_where(up: Up, tmp_path: Path) -> None:
    address = read_until(up, "127.0.0.1")[0].strip()
    text = "".join(read_until(up, "Ctrl-C"))
    for name in ("postgres", "console", "queue"):
        assert any(line.startswith(name) and "ready" in line for line in text.splitlines()), name
    assert f"Console    http://{address}" in text
    assert str(tmp_path / "logs") in text


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_up_asked_to_end_drains_and_exits_0(up: Up, tmp_path: Path, how: signal.Signals) -> None:
    read_until(up, "Ctrl-C")
    up.send_signal(how)
    text, _ = up.communicate(timeout=30)
    assert up.returncode == 0
    assert "Stopping" in text
    assert processes_of(tmp_path) == set()
    assert "drained" in (tmp_path / "logs" / "queue.log").read_text()


def test_up_asked_to_end_while_it_starts_leaves_nothing(up: Up, tmp_path: Path) -> None:
    read_until(up, "127.0.0.1")
    wait_until(lambda: (tmp_path / "postgres" / "lock").exists())
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=60)
    assert up.returncode == 0
    assert processes_of(tmp_path) == set()


def test_killed_up_leaves_no_process_and_the_next_one_starts(up: Up, tmp_path: Path) -> None:
    read_until(up, "Ctrl-C")
    assert len(processes_of(tmp_path)) > 3
    up.kill()
    wait_until(lambda: processes_of(tmp_path) == set())
    following = subprocess.Popen(
        [sys.executable, "-m", "tests.support.run_stack", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    read_until(following, "Ctrl-C")
    following.terminate()
    following.communicate(timeout=30)
    assert following.returncode == 0


def test_up_beside_a_running_one_exits_1_and_names_it(up: Up, tmp_path: Path) -> None:
    read_until(up, "Ctrl-C")
    second = subprocess.run(
        [sys.executable, "-m", "services.cli", "up"],
        env={"ETAPA_HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"etapa: Another Etapa (process {up.pid}) uses")
    assert "Traceback" not in second.stderr
