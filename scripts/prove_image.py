"""Prove the image without Docker: do in a clean folder what the Dockerfile says, and run it.

Copies what the build stage copies (tracked files only), runs its RUN line, and then starts the
whole stack out of that installation alone, asks every service whether it is ready, and stops it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import fields
from pathlib import Path

from services.cli.addresses import Addresses, PortBlock, listen_variable
from services.cli.service_table import SERVICES

ROOT = Path(__file__).resolve().parent.parent
IMAGE_FOLDER = "/opt/etapa"
UP_S, DOWN_S, INSTALL_S = 120.0, 60.0, 600.0
READY_LINE = "Ctrl-C stops everything."
_KEPT = re.compile(r"PATH|HOME|LANG|TMPDIR|(PIP|UV|SSL)_.*|.*_PROXY", re.IGNORECASE)


def main() -> int:
    """Build, run and stop; return 0 if all of it went as it should."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="etapa-image-") as folder:
        source, target, home = (Path(folder, name) for name in ("src", "etapa", "home"))
        build(source, target)
        built_s = time.monotonic() - began
        home.mkdir()
        run_stack(target, home)
    total_s = time.monotonic() - began
    print(f"image: its steps install and run (built in {built_s:.0f} s, {total_s:.0f} s in all)")
    return 0


def build(source: Path, target: Path) -> None:
    """Do the build stage's COPY and RUN lines, with folders of ours for its two."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").splitlines()
    for line in _build_stage(lines):
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *names, to = shlex.split(rest)
            for name in names:
                _copy_tracked(name, source, to)
        elif word == "RUN":
            command = shlex.split(rest.replace(IMAGE_FOLDER, str(target)))
            subprocess.run(  # noqa: S603 - the Dockerfile's own line
                command, cwd=source, check=True, timeout=INSTALL_S, env=_bare_env()
            )


def _build_stage(lines: list[str]) -> list[str]:
    first, second = (n for n, line in enumerate(lines) if line.startswith("FROM "))
    return [line for line in lines[first + 1 : second] if line and not line.startswith("#")]


def _copy_tracked(name: str, source: Path, to: str) -> None:
    listed = subprocess.run(  # noqa: S603
        ["git", "ls-files", "-z", "--", name],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tracked = [file for file in listed.stdout.split("\0") if file and (ROOT / file).is_file()]
    if not tracked:
        raise SystemExit(f"image: the Dockerfile copies {name}, which holds no tracked file")
    for file in tracked:
        below = Path(file).relative_to(name)  # "." where a file itself is named
        place = source / file if to == "./" else source / to / below
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, place)


def run_stack(target: Path, home: Path) -> None:
    """Start everything from the installation, probe each service, stop, and expect exit code 0."""
    ports = PortBlock()
    listen = {field.name: ports.take() for field in fields(Addresses)}
    env = _bare_env() | {listen_variable(name): address for name, address in listen.items()}
    env["ETAPA_HOME"] = str(home / "etapa")
    process = subprocess.Popen(  # noqa: S603
        [str(target / "bin" / "etapa"), "up"],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_ready(process)
        for service in SERVICES:
            probe = [str(target / "bin" / "python"), "-P", "-m", "services.cli.probe"]
            subprocess.run(  # noqa: S603
                [*probe, service.name, listen[service.health]], cwd=home, env=env, check=True
            )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DOWN_S)
    finally:
        process.kill()
        ports.close()
    if process.returncode:
        raise SystemExit(f"image: `etapa up` ended with exit code {process.returncode}")


def _wait_ready(process: subprocess.Popen[str]) -> None:
    said: list[str] = []
    timer = threading.Timer(UP_S, process.kill)
    timer.start()
    try:
        for line in process.stdout or ():
            said.append(line)
            if READY_LINE in line:
                return
    finally:
        timer.cancel()
    raise SystemExit(f"image: `etapa up` was not ready within {UP_S:g} s:\n{''.join(said)}")


def _bare_env() -> dict[str, str]:
    """Return an environment as bare as a container's, but for where packages come from."""
    own = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return own | {"PYTHON": sys.executable}


if __name__ == "__main__":
    sys.exit(main())
