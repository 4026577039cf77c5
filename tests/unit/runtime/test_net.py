"""Which addresses may be dialled."""

from __future__ import annotations

import pytest

from services.runtime.net import ForbiddenAddressError, check_address, parse_networks

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "2001:0:808:808:0:0:f7f7:f7f7",
]
FORBIDDEN = [
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:808:808:0:0:80ff:fffe",  # Teredo: client 127.0.0.1
    "2001:0:7f00:1:0:0:f7f7:f7f7",  # Teredo: server 127.0.0.1
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "",
    "localhost",
    "127.1",
    "0x7f000001",
    "017700000001",
    "1.2.3.4.5",
    "8.8.8.8 ",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_passes(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_other_address_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="not a public internet address"):
        check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_allowed_range_admits_an_address_in_any_form(address: str) -> None:
    check_address(address, parse_networks("127.0.0.0/8"))


def test_allowed_range_admits_nothing_else() -> None:
    with pytest.raises(ForbiddenAddressError):
        check_address("10.0.0.1", parse_networks("127.0.0.0/8, ::1/128"))


def test_error_names_host_and_address() -> None:
    with pytest.raises(ForbiddenAddressError) as caught:
        check_address("10.0.0.1", host="intra.example.test")

    assert "intra.example.test (10.0.0.1)" in caught.value.message
    assert caught.value.facts == {"host": "intra.example.test", "address": "10.0.0.1"}


def test_wrong_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        parse_networks("127.0.0.0/8,10.0.0.1/8")
