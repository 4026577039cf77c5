"""The processes that a stack is made of, and the environment that each is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.addresses import PortBlock, listen_variable
from services.cli.service_table import Service
from services.cli.stack_env import LINK_SERVICES, home_env, service_env
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import Keeper


@dataclass
class Member:
    """One process of the stack: its service, where it listens, and its keeper once started."""

    name: str
    service: Service
    listen: dict[str, str]
    extra_env: dict[str, str] = field(default_factory=dict)
    extra_starts: int | None = None
    keeper: Keeper | None = None

    def take_extra_env(self) -> dict[str, str]:
        """Return what was added for this start, and count the start."""
        if self.extra_starts == 0:
            self.extra_env = {}
        elif self.extra_starts is not None:
            self.extra_starts -= 1
        return self.extra_env


def plan_members(settings: StackSettings, ports: PortBlock) -> dict[str, Member]:
    """Return all processes by name; replicas beyond the first listen at ports of the block."""
    members = {}
    for service in settings.services:
        for index in range(settings.replicas.get(service.name, 1)):
            name = service.name if index == 0 else f"{service.name}-{index + 1}"
            listen = {
                listener: ports.take() if index else settings.addresses.of(listener)
                for listener in service.listeners
            }
            members[name] = Member(name, service, listen)
    return members


def wanted_addresses(members: Mapping[str, Member]) -> dict[str, str]:
    """Return where the processes are to listen, by listener; the first of each counts."""
    wanted: dict[str, str] = {}
    for member in members.values():
        wanted = {**member.listen, **wanted}
    return wanted


def member_env(
    settings: StackSettings,
    members: Mapping[str, Member],
    member: Member,
    database_url: str,
    media_key: str,
) -> dict[str, str]:
    """Return the whole environment of one process at its next start."""
    listening = {
        name: [one.listen[name] for one in members.values() if name in one.listen]
        for name in settings.wanted_addresses()
    }
    database = database_url if member.service.has_tables else ""
    env = service_env(settings, member.service.name, database, listening)
    env |= home_env(settings, member.name)
    env |= {listen_variable(name): address for name, address in member.listen.items()}
    if member.service.name in LINK_SERVICES:
        env["ETAPA_MEDIA_KEY"] = media_key
    added = settings.service_env.get(member.service.name, {})
    return {**env, **added, **member.take_extra_env()}
