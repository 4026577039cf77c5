"""Check what is in deploy/: the Dockerfile, compose.yaml, the systemd units, .env.example.

Linters come from the tool environment of `requirements-deploy.txt`. Each service's settings are
read from the very environment that compose.yaml would give it.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.cli.service_table import SERVICES
from services.runtime.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".venv-deploy" / "bin"
SECRETS = {"POSTGRES_PASSWORD": "secret", "ETAPA_MEDIA_KEY": "k" * 43}
PUBLISHED = {"console", "webhook"}
_YAML_TO_JSON = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<word>[^{}]*))?\}")


def main() -> int:
    """Print every problem; return 1 if there is one."""
    problems = [*check_dockerfile(), *check_compose(), *check_units()]
    for problem in problems:
        print(f"deploy: {problem}")
    if not problems:
        print("deploy: Dockerfile, compose.yaml, units and .env.example are well")
    return 1 if problems else 0


def check_dockerfile() -> Iterator[str]:
    """Lint the Dockerfile with hadolint and the shell of install.sh."""
    yield from _told_by(str(TOOLS / "hadolint"), str(DEPLOY / "Dockerfile"))
    yield from _told_by("sh", "-n", str(DEPLOY / "install.sh"))


def check_compose() -> Iterator[str]:
    """Check each service of compose.yaml against the table of services and its settings."""
    compose = read_compose()
    found, volumes = compose["services"], compose["volumes"]
    names = {service.name for service in SERVICES}
    if missing := names - set(found):
        yield f"compose.yaml lacks {', '.join(sorted(missing))}"
    for name, service in found.items():
        yield from (f"compose.yaml, {name}: {text}" for text in _service(name, service, volumes))
        if name in names:
            yield from (f"compose.yaml, {name}: {text}" for text in _settings(name, service))


def _service(name: str, service: Mapping[str, Any], volumes: Mapping[str, Any]) -> Iterator[str]:
    if not service.get("healthcheck", {}).get("test"):
        yield "has no health check"
    for volume in service.get("volumes", []):
        source = str(volume).partition(":")[0]
        if not source.startswith("/") and source not in volumes:
            yield f"the volume {source} is not declared"
    ports = [str(port) for port in service.get("ports", [])]
    if ports and name not in PUBLISHED:
        yield f"publishes {', '.join(ports)}; only {', '.join(sorted(PUBLISHED))} may"
    if any(not port.startswith("127.0.0.1:") for port in ports):
        yield "publishes a port beyond the host's loopback"


def _settings(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    if service["command"] != ["python", "-m", f"services.{name}"]:
        yield f"runs {service['command']}"
    if service["healthcheck"]["test"] != ["CMD", "python", "-m", "services.cli.probe", name]:
        yield "is not probed by its own name"
    settings = importlib.import_module(f"services.{name}.settings").Settings
    try:
        settings.from_env({key: str(value) for key, value in service["environment"].items()})
    except SettingsError as error:
        yield str(error)


def read_compose() -> Any:
    """Return compose.yaml as `docker compose` would see it with .env.example and secrets."""
    done = subprocess.run(  # noqa: S603 - our own tool environment
        [str(TOOLS / "python"), "-c", _YAML_TO_JSON],
        input=(DEPLOY / "compose.yaml").read_text("utf-8"),
        capture_output=True,
        text=True,
        check=True,
    )
    return _filled_in(json.loads(done.stdout), {**read_env_example(), **SECRETS})


def read_env_example() -> dict[str, str]:
    """Return the variables that .env.example sets."""
    lines = (DEPLOY / ".env.example").read_text("utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value.strip("'") for name, value in pairs}


def _filled_in(value: Any, values: Mapping[str, str]) -> Any:
    """Fill in `${…}` after YAML was read, as compose does, from the inside out."""
    if isinstance(value, dict):
        return {key: _filled_in(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, values) for item in value]
    while isinstance(value, str) and (match := _VARIABLE.search(value)):
        value = value[: match.start()] + _value_of(match, values) + value[match.end() :]
    return value


def _value_of(match: re.Match[str], values: Mapping[str, str]) -> str:
    name, word = match["name"], match["word"] or ""
    if not values.get(name) and match["how"] == "?":
        raise SystemExit(f"deploy: .env.example does not set {name}: {word}")
    return values.get(name) or word


def check_units() -> Iterator[str]:
    """Let systemd verify the units, with an interpreter that is there."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        print("deploy: units not verified, this machine has no systemd-analyze")
        return
    with tempfile.TemporaryDirectory() as folder:
        for unit in (DEPLOY / "systemd").iterdir():
            text = unit.read_text("utf-8").replace("/opt/etapa/bin/python", sys.executable)
            Path(folder, unit.name).write_text(text, "utf-8")
        env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
        units = [f"{folder}/etapa.target", f"{folder}/etapa@queue.service"]
        options = ("--man=no", "--recursive-errors=yes")
        yield from _told_by(analyze, *options, "verify", *units, env=env)


def _told_by(*command: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    done = subprocess.run(  # noqa: S603 - linters named above
        command, capture_output=True, text=True, check=False, env=env
    )
    said = (done.stdout + done.stderr).strip()
    if done.returncode or said:
        yield f"{Path(command[0]).name}: {said or f'exit code {done.returncode}'}"


if __name__ == "__main__":
    sys.exit(main())
