"""Decides which network addresses may be dialled for a URL that came from outside.

The check sits where the socket is made, so it sees the address that is really dialled: a name
that resolves differently a second time, or a literal address, cannot slip past it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from services.runtime.errors import InvalidInputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA special-purpose registries for IPv4 and IPv6, read 2026-11-24; kept here because
# `ipaddress.is_global` changed its mind between patch releases of Python 3.11 and 3.12.
_CLOSED_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's metadata and DNS agent: public in form, local in effect
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_OPEN_V6: Final = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class ForbiddenAddressError(InvalidInputError):
    """The URL leads to an address that is not on the public internet."""

    reason = "FORBIDDEN_ADDRESS"

    def __init__(self, host: str, address: str) -> None:
        where = address if host in ("", address) else f"{host} ({address})"
        super().__init__(
            f"{where} is not a public internet address; use a public URL or send the file itself",
            facts={"host": host or address, "address": address},
        )
        self.host = host
        self.address = address


def check_address(address: str, allow: Sequence[Network] = (), host: str = "") -> None:
    """Raise `ForbiddenAddressError` unless the address is public or within `allow`.

    IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are judged by what they
    carry. What is no address at all is forbidden.
    """
    try:
        outer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError as error:
        raise ForbiddenAddressError(host, address) from error
    for inner in _carried(outer):
        if not (_is_public(inner) or _is_within(inner, allow) or _is_within(outer, allow)):
            raise ForbiddenAddressError(host, address)


def public_connector(allow: Sequence[Network] = (), *, limit: int = 32) -> aiohttp.TCPConnector:
    """Return a connector that dials public addresses only, and those within `allow`.

    A name with one forbidden address among its answers is refused as a whole. Redirects are
    checked alike, since each of them dials through here. `limit` bounds open connections.
    """

    def make_socket(info: Any) -> socket.socket:
        family, kind, proto, _name, sockaddr = info
        check_address(str(sockaddr[0]), allow)
        return socket.socket(family=family, type=kind, proto=proto)

    return aiohttp.TCPConnector(
        limit=limit,
        resolver=_CheckedResolver(allow),
        socket_factory=make_socket,
        # A cached answer would outlive a change of `allow` or of the name; fetches are rare.
        use_dns_cache=False,
        force_close=True,
    )


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read comma-separated CIDR ranges; raises ValueError that names the wrong one."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


class _CheckedResolver(AbstractResolver):
    """Refuses a name before anything is dialled, so that the error can name the name."""

    def __init__(self, allow: Sequence[Network]) -> None:
        self._allow = allow
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for answer in found:
            check_address(answer["host"], self._allow, host)
        return found

    async def close(self) -> None:
        await self._inner.close()


def _carried(address: Address) -> Iterator[Address]:
    """Yield the addresses that a packet to this one may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in _NAT64:
        yield ipaddress.IPv4Address(address.packed[-4:])
    else:
        yield address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _is_within(address, _CLOSED_V4)
    return address in _OPEN_V6 and not _is_within(address, _CLOSED_V6)


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
