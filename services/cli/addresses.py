"""Where each part of the stack listens, and how free ports are found for a stack beside others."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields

from services.cli.errors import CliError
from services.runtime.listen import split_listen
from services.runtime.settings import Env

# Below the ports that Linux gives to outgoing connections (from 32768), so that none of those
# takes a port between our looking and the service's binding.
_FIRST_PORT, _LAST_PORT, _BLOCK = 20_000, 32_000, 20
_LOOPBACK = "127.0.0.1"


class PortsInUseError(CliError):
    """Something listens already where a service is to listen; nothing was started."""

    def __init__(self, taken: Mapping[str, str]) -> None:
        lines = [
            f"port {split_listen(address)[1]} ({name}) is in use: set "
            f"ETAPA_{name.upper()}_LISTEN=127.0.0.1:<another port>"
            for name, address in taken.items()
        ]
        first = split_listen(next(iter(taken.values())))[1]
        super().__init__(
            "Nothing was started. "
            + "; ".join(lines)
            + f"; or stop what listens there (`ss -ltnp 'sport = :{first}'` shows it)."
        )
        self.taken = dict(taken)


@dataclass(frozen=True, slots=True)
class Addresses:
    """`host:port` of every listener; the defaults are those of the documentation."""

    console: str = f"{_LOOPBACK}:8080"
    webhook: str = f"{_LOOPBACK}:8081"
    queue: str = f"{_LOOPBACK}:50051"
    tools: str = f"{_LOOPBACK}:50052"
    observability: str = f"{_LOOPBACK}:50053"
    observability_otlp: str = f"{_LOOPBACK}:4317"
    observability_jaeger: str = f"{_LOOPBACK}:16686"
    emulator: str = f"{_LOOPBACK}:8090"
    emulator_admin: str = f"{_LOOPBACK}:8091"

    @classmethod
    def from_env(cls, values: Mapping[str, str]) -> Addresses:
        """Read `ETAPA_<NAME>_LISTEN` for every listener."""
        env = Env(values)
        found = {
            field.name: env.address(listen_variable(field.name), str(field.default))
            for field in fields(cls)
        }
        env.finish()
        return cls(**found)

    @classmethod
    def from_ports(cls, ports: PortBlock) -> Addresses:
        """Return addresses on free ports, for stacks side by side."""
        return cls(**{field.name: ports.take() for field in fields(cls)})

    def of(self, name: str) -> str:
        """Return one listener's address by its name."""
        return str(getattr(self, name))


def listen_variable(name: str) -> str:
    """Return the variable that sets a listener's address, as in ETAPA_EMULATOR_ADMIN_LISTEN."""
    return f"ETAPA_{name.upper()}_LISTEN"


def reachable(address: str) -> str:
    """Return where a client on this machine dials a listener that may listen everywhere."""
    host, port = split_listen(address)
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return f"{_LOOPBACK if host == '0.0.0.0' else '[::1]'}:{port}"  # noqa: S104
    return address


def taken_addresses(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return those of the wanted addresses where somebody listens already."""
    return {name: address for name, address in wanted.items() if not is_free(address)}


def is_free(address: str) -> bool:
    """Tell whether `host:port` can be listened at now."""
    host, port = split_listen(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


class PortBlock:
    """A range of loopback ports that no other stack on this machine takes while it is held.

    The reservation is an abstract socket, which leaves no file and ends with this process.
    """

    def __init__(self) -> None:
        self._hold: socket.socket | None = None
        self._next = self._last = 0
        self._reserve()

    def take(self) -> str:
        """Return the next free `host:port` of the range."""
        while True:
            if self._next >= self._last:
                raise OSError("all ports of this stack's range are taken")
            address = f"{_LOOPBACK}:{self._next}"
            self._next += 1
            if is_free(address):
                return address

    def close(self) -> None:
        """Let others have the range."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def _reserve(self) -> None:
        for base in _shuffled(range(_FIRST_PORT, _LAST_PORT, _BLOCK)):
            hold = _hold(base)
            if hold is not None:
                self._hold, self._next, self._last = hold, base, base + _BLOCK
                return
        raise OSError("no free range of ports between 20000 and 32000")


def _hold(base: int) -> socket.socket | None:
    if sys.platform != "linux":  # no abstract sockets: chance has to do
        return socket.socket(socket.AF_UNIX)
    hold = socket.socket(socket.AF_UNIX)
    try:
        hold.bind(f"\0etapa-ports-{base}")
    except OSError:
        hold.close()
        return None
    return hold


def _shuffled(bases: Iterable[int]) -> list[int]:
    found = list(bases)
    random.Random(os.getpid() ^ random.getrandbits(32)).shuffle(found)  # noqa: S311 - no secret
    return found
