"""The environment that a service of the stack is started with: what it may know, and its peers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from services.cli.addresses import reachable
from services.cli.secret_file import write_secret
from services.cli.stack_settings import StackSettings, emulator_account

_PEERS = ("queue", "tools", "observability")
LINK_SERVICES = frozenset({"queue", "webhook"})  # one signs media links, the other serves them
_NOT_PASSED = frozenset(
    {"ETAPA_MEDIA_KEY", "ETAPA_DATABASE_URL", "ETAPA_QUEUE_ACCOUNTS", "RUNNINGHUB_API_KEY"}
)


def service_env(
    settings: StackSettings,
    service: str,
    database_url: str,
    listening: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    """Return what a service is started with, but for its own listen addresses.

    `listening` lists the listen addresses of all replicas by service. An empty `database_url`
    is not passed: a service without tables has no business in the database.
    """
    env = {name: value for name, value in settings.env.items() if _is_passed(name, settings)}
    env |= {
        "ETAPA_HOME": str(settings.home),
        "ETAPA_WEBHOOK_PUBLIC_URL": _public_url(settings),
    }
    if database_url:
        env["ETAPA_DATABASE_URL"] = database_url
    if service == "queue":  # the only holder of provider keys
        env["ETAPA_QUEUE_ACCOUNTS"] = settings.accounts or _emulator(settings)
    return env | {
        f"ETAPA_{name.upper()}_ADDRESS": grpc_target(listening[name])
        for name in _PEERS
        if listening.get(name)
    }


def home_env(settings: StackSettings, process: str) -> dict[str, str]:
    """Return where in the home folder this process keeps what it keeps, unless set otherwise."""
    places = {
        "ETAPA_BLOBS": settings.home / "blobs",
        "ETAPA_EMULATOR_DATA": settings.home / "emulator",
        # Emptied at each start, so every replica has its own.
        "ETAPA_TOOLS_TEMP_FOLDER": settings.home / "uploads" / process,
    }
    return {name: settings.env.get(name) or str(place) for name, place in places.items()}


def media_key(settings: StackSettings) -> str:
    """Return the key of signed media links: the one that is set, else one kept for good."""
    if key := settings.env.get("ETAPA_MEDIA_KEY", "").strip():
        return key
    path = settings.home / "media-key"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def grpc_target(addresses: Sequence[str]) -> str:
    """Return what a gRPC channel dials: `host:port`, or all replicas as `ipv4:a:1,b:2`."""
    dialled = [reachable(address) for address in addresses]
    if len(dialled) == 1:
        return dialled[0]
    return "ipv4:" + ",".join(dialled)


def _is_passed(name: str, settings: StackSettings) -> bool:
    if name.startswith("PG"):  # would silently bend how asyncpg reaches an embedded server
        return bool(settings.database_url)
    return name not in _NOT_PASSED


def _emulator(settings: StackSettings) -> str:
    return emulator_account(f"http://{reachable(settings.addresses.emulator)}")


def _public_url(settings: StackSettings) -> str:
    """Return where RunningHub reaches our gateway: the emulator reaches loopback, too."""
    if settings.public_url or not settings.has("emulator"):
        return settings.public_url
    return f"http://{reachable(settings.addresses.webhook)}"
