"""The environment that a service of the stack is started with: what it may know, and its peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.cli.addresses import reachable
from services.cli.stack_settings import StackSettings, emulator_account

_PEERS = ("queue", "tools", "observability")
_NOT_PASSED = frozenset({"ETAPA_DATABASE_URL", "ETAPA_QUEUE_ACCOUNTS", "RUNNINGHUB_API_KEY"})


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
