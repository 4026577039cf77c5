"""A failpoint kills the process that passes it, once where a marker says so, and nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from services.runtime.failpoints import read_failpoint
from services.runtime.settings import Env

PASS_IT = (
    "import sys; from services.runtime.failpoints import *; from services.runtime.settings import "
    "Env; arm(read_failpoint(Env({'ETAPA_FAILPOINT': sys.argv[1]}))); failpoint('finalising')"
)


def pass_it(spec: str) -> int:
    """Pass the failpoint `finalising` in a process of its own; return its exit code."""
    return subprocess.run([sys.executable, "-c", PASS_IT, spec], check=False).returncode


def test_an_armed_place_kills_at_every_passage() -> None:
    assert [pass_it("finalising") for _ in range(2)] == [-signal.SIGKILL] * 2


def test_a_marker_makes_it_fire_once_over_restarts(tmp_path: Path) -> None:
    spec = f"finalising:{tmp_path / 'fired'}"

    assert [pass_it(spec) for _ in range(3)] == [-signal.SIGKILL, 0, 0]


def test_another_place_and_no_place_do_nothing() -> None:
    assert pass_it("callback_stored") == 0
    assert pass_it("") == 0


def test_an_unknown_place_is_a_problem_of_the_settings() -> None:
    env = Env({"ETAPA_FAILPOINT": "somewhere:/tmp/x"})
    read_failpoint(env)

    (problem,) = env.problems
    assert "somewhere" in problem
    assert "callback_stored" in problem
