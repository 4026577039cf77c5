"""`etapa demo`, as `make demo` runs it: all services, real media, on free ports in a folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from services.cli.addresses import Addresses, PortBlock, listen_variable
from services.runtime.listen import split_listen

# One run is a whole stack on a machine that other tests keep busy.
pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("demo")]
JOB = re.compile(r"Job ([0-9a-f-]{36})  (\w+)")
STEPS = (
    "upload",
    "insert",
    "credits",
    "queue_check",
    "queued",
    "starting",
    "running",
    "webhook_received",
)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return an environment with a home and ports of its own; the runs share the home."""
    ports = PortBlock()
    addresses = Addresses.from_ports(ports)
    listen = {listen_variable(each.name): addresses.of(each.name) for each in fields(addresses)}
    yield {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "en_US.UTF-8",
        "ETAPA_HOME": str(tmp_path_factory.mktemp("home")),
        **listen,
    }
    ports.close()


def etapa(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def trails_of(text: str) -> dict[str, list[str]]:
    """Return the step codes printed for each job, by job id."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := JOB.match(line):
            steps = found.setdefault(match[1], [])
        elif re.match(r"  [\d:.]{12}  [●◆] ", line):
            steps.append(line.split()[2])
    return found


def test_the_demo_shows_five_trails_and_their_results(env: dict[str, str]) -> None:
    done = etapa(env, "demo", "--exit")
    assert done.returncode == 0, done.stdout + done.stderr
    trails = list(trails_of(done.stdout).values())
    assert trails == [[*STEPS, "completed"]] * 4 + [[*STEPS, "failed"]]
    for words in (
        "1638×2048 pixels (its input has 640×800)",
        "960×540 pixels (its input has 480×270)",
        "is refused: user 'demo' may have 1 active job",
        "✖ Failed at: Processing with AI (running)",
        "Free (according to CUDA)",
        "Class:      gpu_oom",
        "60 of 60 returned",
        "✔ 5 jobs ended as they should",
    ):
        assert words in done.stdout, words
    home = Path(env["ETAPA_HOME"]) / "demo"
    assert len(list((home / "outputs").iterdir())) == 4
    for address in listening(env):
        assert not is_open(address), f"something listens at {address} still"


def test_a_job_that_does_not_end_as_planned_is_the_exit_code(env: dict[str, str]) -> None:
    # With a second try the job that is to fail completes.
    done = etapa({**env, "ETAPA_QUEUE_RETRIES": "gpu_oom=1"}, "demo", "--exit")
    assert done.returncode == 1
    assert "✖ upscaler is not as it should be: status is 'completed', not 'failed'" in done.stdout
    assert "✖ 1 of 5 jobs did not end as they should" in done.stdout


def test_the_demo_goes_on_serving_until_it_is_stopped(env: dict[str, str]) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "demo"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert serving.stdout is not None
        lines = []
        for line in serving.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        printed = "".join(lines)
        *_, failed = trails_of(printed)
        told = etapa(env, "job", failed)
        again = etapa(env, "retry", failed, "--wait")
        home = re.search(r"ETAPA_HOME=(\S+) ", printed)
        assert home is not None
        sql = "SELECT failed_at_step FROM upscaler_jobs WHERE id = '" + failed + "'"
        row = etapa({**env, "ETAPA_HOME": home[1]}, "psql", "-c", sql)
        serving.send_signal(signal.SIGINT)
        rest, _ = serving.communicate(timeout=60)
    finally:
        serving.kill()
        serving.wait()
    assert "✖ Failed at: Processing with AI (running)" in told.stdout
    assert again.returncode == 0, again.stdout + again.stderr
    assert "running" in row.stdout
    assert serving.returncode == 0, rest
    assert "Stopping" in rest


def test_a_port_in_use_is_one_line_and_nothing_is_started(env: dict[str, str]) -> None:
    with socket.create_server(split_listen(env["ETAPA_QUEUE_LISTEN"])):
        done = etapa(env, "demo", "--exit")
    assert done.returncode == 1
    assert done.stderr.startswith("etapa: Nothing was started. port ")
    assert done.stderr.count("\n") == 1
    assert "ready" not in done.stdout


def listening(env: dict[str, str]) -> list[str]:
    return [value for name, value in env.items() if name.endswith("_LISTEN")]


def is_open(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(split_listen(address)) == 0
