"""Settings of the emulator, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.settings import Env

DEFAULT_ACCOUNTS = (
    "00000000000000000000000000000001:SHARED:50:100000,"
    "00000000000000000000000000000002:NORMAL:3:100000,"
    "00000000000000000000000000000003:EXCLUSIVE:2:100000"
)
_ACCOUNT = re.compile(
    r"(?P<key>[^:,\s]+):(?P<type>NORMAL|SHARED|EXCLUSIVE):(?P<slots>\d+):(?P<coins>\d+)"
)


@dataclass(frozen=True, slots=True)
class AccountSetting:
    """One API key that exists from the start. `coins` is its balance."""

    key: str = field(repr=False)
    api_type: str
    concurrency: int
    coins: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set. Times ending in `_s` are provider seconds unless said otherwise.

    `time_scale` is how many real seconds one provider second lasts: 0.1 runs ten times faster
    than the provider. It scales queueing, runs, webhook retries, delays of faults and expiry.
    `webhook_timeout_s` is in real seconds, since it measures somebody else's process.
    """

    listen: str = "127.0.0.1:8090"
    admin_listen: str = "127.0.0.1:8091"
    data: Path = Path(".etapa/emulator")
    public_url: str = ""
    log_level: str = "INFO"
    time_scale: float = 0.1
    queue_s: float = 2.0
    image_run_s: float = 20.0
    video_run_s: float = 60.0
    run_jitter: float = 0.2
    cancel_s: float = 1.0
    render_fast: bool = False
    render_workers: int = 2
    upload_limit_bytes: int = 30 * 1024 * 1024
    upload_life_s: float = 86_400.0
    output_life_s: float = 86_400.0
    task_life_s: float = 604_800.0
    webhook_timeout_s: float = 5.0
    webhook_retries_s: tuple[float, ...] = (20.0, 60.0, 100.0)
    webhook_v1_form: str = "string"
    webhook_v2_form: str = "object"
    cancelled_status: str = ""
    accounts: tuple[AccountSetting, ...] = field(default=(), repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `ETAPA_EMULATOR_*`; raise `SettingsError` with every problem at once."""
        read = Env(env)
        settings = cls(
            listen=read.address("ETAPA_EMULATOR_LISTEN", "127.0.0.1:8090"),
            admin_listen=read.address("ETAPA_EMULATOR_ADMIN_LISTEN", "127.0.0.1:8091"),
            data=Path(read.home("ETAPA_EMULATOR_DATA", "emulator")),
            public_url=read.text("ETAPA_EMULATOR_PUBLIC_URL").rstrip("/"),
            log_level=read.text("ETAPA_EMULATOR_LOG_LEVEL", "INFO"),
            render_fast=read.flag("ETAPA_EMULATOR_RENDER_FAST"),
            render_workers=read.integer("ETAPA_EMULATOR_RENDER_WORKERS", 2, low=1, high=64),
            upload_limit_bytes=read.integer(
                "ETAPA_EMULATOR_UPLOAD_LIMIT_BYTES", 30 * 1024 * 1024, low=1
            ),
            webhook_v1_form=_choice(read, "ETAPA_EMULATOR_WEBHOOK_V1_FORM", "string", _FORMS),
            webhook_v2_form=_choice(read, "ETAPA_EMULATOR_WEBHOOK_V2_FORM", "object", _FORMS),
            cancelled_status=_choice(read, "ETAPA_EMULATOR_CANCELLED_STATUS", "", ("", "CANCEL")),
            webhook_retries_s=_durations(read, "ETAPA_EMULATOR_WEBHOOK_RETRIES_S", "20,60,100"),
            accounts=_accounts(read, "ETAPA_EMULATOR_ACCOUNTS", DEFAULT_ACCOUNTS),
            **_times(read),
        )
        read.finish()
        return settings


_FORMS = ("string", "object", "toplevel")
# name of the variable after ETAPA_EMULATOR_, field, default, smallest
_TIMES = (
    ("TIME_SCALE", "time_scale", 0.1, 0.0001),
    ("QUEUE_S", "queue_s", 2.0, 0.0),
    ("IMAGE_RUN_S", "image_run_s", 20.0, 0.0),
    ("VIDEO_RUN_S", "video_run_s", 60.0, 0.0),
    ("RUN_JITTER", "run_jitter", 0.2, 0.0),
    ("CANCEL_S", "cancel_s", 1.0, 0.0),
    ("UPLOAD_LIFE_S", "upload_life_s", 86_400.0, 1.0),
    ("OUTPUT_LIFE_S", "output_life_s", 86_400.0, 1.0),
    ("TASK_LIFE_S", "task_life_s", 604_800.0, 1.0),
    ("WEBHOOK_TIMEOUT_S", "webhook_timeout_s", 5.0, 0.01),
)


def _times(read: Env) -> dict[str, float]:
    return {
        target: read.number(f"ETAPA_EMULATOR_{name}", default, low=low)
        for name, target, default, low in _TIMES
    }


def _choice(read: Env, name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = read.text(name, default)
    if value not in allowed:
        read.problems.append(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")
    return value


def _durations(read: Env, name: str, default: str) -> tuple[float, ...]:
    raw = read.text(name, default)
    try:
        values = tuple(float(part) for part in raw.split(",") if part.strip())
    except ValueError:
        values = (-1.0,)
    if any(value < 0 for value in values):
        read.problems.append(f"{name}={raw!r} is not a list of seconds, as in {default}")
    return values


def _accounts(read: Env, name: str, default: str) -> tuple[AccountSetting, ...]:
    found = []
    for part in read.text(name, default).split(","):
        match = _ACCOUNT.fullmatch(part.strip())
        if match is None:
            # The part itself is not shown: it holds a key.
            read.problems.append(
                f"{name} has an entry that is not KEY:NORMAL|SHARED|EXCLUSIVE:SLOTS:COINS"
            )
            continue
        found.append(
            AccountSetting(match["key"], match["type"], int(match["slots"]), int(match["coins"]))
        )
    return tuple(found)


def default_accounts() -> tuple[AccountSetting, ...]:
    """Return the keys that exist where nothing else is configured."""
    return _accounts(Env({}), "ETAPA_EMULATOR_ACCOUNTS", DEFAULT_ACCOUNTS)
