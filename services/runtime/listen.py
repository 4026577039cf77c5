"""The rules on addresses that servers listen at: loopback unless told otherwise, and one owner."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextvars import ContextVar

from services.runtime.errors import SettingsError

INSECURE_BIND = "ETAPA_INSECURE_BIND"

# Set once by runtime.main from the environment, so that no server has to pass it along.
insecure_bind_allowed: ContextVar[bool] = ContextVar("insecure_bind_allowed", default=False)


class PortInUseError(SettingsError):
    """Another process listens at the address already."""

    def __init__(self, listen: str) -> None:
        port = listen.rpartition(":")[2]
        super().__init__(
            [
                f"port {port} is in use: another process listens at {listen}. Stop it "
                f"(`ss -ltnp 'sport = :{port}'` shows which it is), or set another port"
            ]
        )
        self.listen = listen


class InsecureBindError(SettingsError):
    """The address can be reached from other machines, and there is no login."""

    def __init__(self, listen: str) -> None:
        super().__init__(
            [
                f"{listen} can be reached from other machines, and there is no login. Listen at "
                f"127.0.0.1 or [::1], or set {INSECURE_BIND}=1 where the network protects it"
            ]
        )
        self.listen = listen


def split_listen(listen: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError([f"{listen!r} is not host:port, as in 127.0.0.1:50051"])
    return host.strip("[]"), int(port)


def check_loopback(listen: str) -> None:
    """Refuse an address that other machines can reach, unless the process was told otherwise."""
    host, port = split_listen(listen)
    if insecure_bind_allowed.get():
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise bind_error(listen, error) from error
    if not all(_is_loopback(str(address[0])) for *_, address in found):
        raise InsecureBindError(listen)


def bind_error(listen: str, error: OSError | None = None) -> SettingsError:
    """Say why the address could not be bound; without `error`, find out by trying."""
    cause = error or _try_to_bind(listen)
    if cause is None or cause.errno == errno.EADDRINUSE:
        return PortInUseError(listen)
    return SettingsError([f"cannot listen at {listen}: {cause.strerror or cause}"])


def _try_to_bind(listen: str) -> OSError | None:
    host, port = split_listen(listen)
    try:
        with socket.create_server((host, port), family=_family(host)):
            return None
    except OSError as error:
        return error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
