"""What a stack is to be: where it keeps things, on which database, with which services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.addresses import Addresses
from services.cli.postgres import PostgresSettings
from services.cli.service_table import NAMES, SERVICES, Service, pick
from services.runtime.settings import Env

EMULATOR_KEY = "00000000000000000000000000000001"  # the emulator's first account, 50 at a time
EMULATOR_SLOTS = 5
REAL_BASE_URL = (
    "https://www.runninghub.ai"  # international site; docs/runninghub-api.md, read 2026-11
)
REAL_SLOTS = 3


@dataclass(frozen=True, slots=True)
class StackSettings:
    """All that shapes a stack.

    `home` is the project-local folder (`.etapa`). An empty `database_url` means the embedded
    server. `env` is the environment of every service, `service_env` adds to it by service name.
    `replicas` counts processes by service name, 1 where unnamed. `accounts` is the JSON list of
    RunningHub accounts that the queue works with.
    """

    home: Path
    postgres: PostgresSettings
    addresses: Addresses = field(default_factory=Addresses)
    database_url: str = field(default="", repr=False)
    services: tuple[Service, ...] = SERVICES
    replicas: Mapping[str, int] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    service_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    public_url: str = ""
    accounts: str = field(default="", repr=False)
    drain_s: float = 20.0
    log_limit_bytes: int = 20_000_000

    @classmethod
    def from_env(
        cls, values: Mapping[str, str], *, replicas: Mapping[str, int] | None = None
    ) -> StackSettings:
        """Read what `etapa up` needs; every service reads its own from the same environment."""
        env = Env(values)
        home = home_folder(values)
        addresses = Addresses.from_env(values)
        real_key = env.text("RUNNINGHUB_API_KEY")
        settings = cls(
            home=home,
            postgres=PostgresSettings.from_env(values, home),
            addresses=addresses,
            database_url=env.text("ETAPA_DATABASE_URL"),
            services=pick(*(name for name in NAMES if name != "emulator" or not _is_real(env))),
            replicas=dict(replicas or {}),
            env=dict(values),
            public_url=env.text("ETAPA_PUBLIC_URL").rstrip("/"),
            accounts=env.text("ETAPA_QUEUE_ACCOUNTS", _real_account(env) if real_key else ""),
            drain_s=env.number("ETAPA_UP_DRAIN_S", 20, low=0),
            log_limit_bytes=env.integer("ETAPA_UP_LOG_LIMIT_BYTES", 20_000_000, low=10_000),
        )
        _check_replicas(env, settings.replicas)
        env.finish()
        return settings

    def wanted_addresses(self) -> dict[str, str]:
        """Return where the first process of each service is to listen, by listener."""
        names = [name for service in self.services for name in service.listeners]
        return {name: self.addresses.of(name) for name in names}

    def has(self, name: str) -> bool:
        """Tell whether a service is part of this stack."""
        return any(service.name == name for service in self.services)

    @property
    def logs(self) -> Path:
        """Return the folder with one log file for each process."""
        return self.home / "logs"


def home_folder(values: Mapping[str, str]) -> Path:
    """Return the folder in which Etapa keeps everything: `.etapa` here, or ETAPA_HOME."""
    return Path(Env(values).text("ETAPA_HOME", ".etapa")).absolute()


def emulator_account(base_url: str) -> str:
    """Return the accounts setting that points the queue at the emulator."""
    return _account("emulator", base_url, EMULATOR_KEY, EMULATOR_SLOTS)


def _real_account(env: Env) -> str:
    slots = env.integer("RUNNINGHUB_SLOTS", REAL_SLOTS, low=1, high=1000)
    base_url = env.text("RUNNINGHUB_BASE_URL", REAL_BASE_URL)
    return _account("runninghub", base_url, env.text("RUNNINGHUB_API_KEY"), slots)


def _account(name: str, base_url: str, key: str, slots: int) -> str:
    return json.dumps([{"name": name, "base_url": base_url, "api_key": key, "slots": slots}])


def _is_real(env: Env) -> bool:
    return bool(env.text("RUNNINGHUB_API_KEY") or env.text("ETAPA_QUEUE_ACCOUNTS"))


def _check_replicas(env: Env, replicas: Mapping[str, int]) -> None:
    for name, count in replicas.items():
        if name not in NAMES:
            env.problems.append(f"there is no service {name!r} (there is: {', '.join(NAMES)})")
        elif not 1 <= count <= 16:
            env.problems.append(f"{count} processes of {name} are not within 1 to 16")
