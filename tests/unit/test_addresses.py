"""A partner may have no address but one that anybody could reach."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.partners.addresses import is_loopback, is_public, parse_address

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2001:200::", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00:1450::1", "3ffe::1",
    "2606:4700::5efe:0:101:101",  # not quite ISATAP
]  # fmt: skip
CLOSED = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "0.255.255.255", "::"],
    "loopback": ["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"],
    "private": [
        "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
        "192.168.255.255", "fc00::1", "fd00:ec2::254", "fdff:ffff::",
    ],
    "link-local": ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "febf::1"],
    "site-local": ["fec0::1", "feff::1"],
    "shared": ["100.64.0.0", "100.100.100.200", "100.127.255.255"],
    "protocol assignments": [
        "192.0.0.0", "192.0.0.9", "192.0.0.170", "192.0.0.255", "2001:1::1", "2001:3::1",
        "2001:4:112::1", "2001:1ff:ffff::1",
    ],
    "documentation": [
        "192.0.2.0", "192.0.2.255", "198.51.100.7", "203.0.113.255", "2001:db8::1",
        "2001:db8:ffff::1", "3fff::1", "3fff:fff:ffff::",
    ],
    "benchmarks": ["198.18.0.0", "198.19.255.255", "2001:2::1"],
    "relays": ["192.88.99.1"],
    "multicast": ["224.0.0.1", "232.1.1.1", "239.255.255.255", "ff00::", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.0", "255.255.255.254", "255.255.255.255", "4000::", "1000::1", "200::1"],
    "a cloud's host": ["168.63.129.16"],
    "discard": ["100::1", "100:0:0:1::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe"],
    "translated": ["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"],
    "compatible": ["::127.0.0.1", "::8.8.8.8", "::a00:1"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2002:ffff:ffff::"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:ffff::"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::1"],
    "ISATAP": [
        "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "2a00:1:2:3:0:5efe:808:808",
        "fe80::5efe:10.0.0.1",
    ],
    "ORCHID": ["2001:10::1", "2001:20::1", "2001:2f:ffff::", "2001:30::1"],
    "segment routing": ["5f00::1"],
    "scoped": ["fe80::1%eth0", "2606:4700::1111%1"],
}  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_reached(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert is_public(address)
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("_kind", "text"), [(kind, text) for kind, texts in CLOSED.items() for text in texts]
)
def test_other_addresses_may_not(_kind: str, text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert not is_public(address)
    assert is_loopback(address) == (text.startswith("127.") or text == "::1")


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_wrapping_makes_an_address_reachable(inner: IPv4Address) -> None:
    n = int(inner)
    wrapped = [
        n,  # compatible
        (0xFFFF << 32) | n,  # mapped
        (0xFFFF << 48) | n,  # translated
        (0x64FF9B << 96) | n,  # NAT64
        (0x64FF9B0001 << 80) | n,  # NAT64, local use
        (0x2002 << 112) | (n << 80),  # 6to4
        (0x20010000 << 96) | (n << 64) | (n ^ 0xFFFFFFFF),  # Teredo
        (0x26064700 << 96) | (0x5EFE << 32) | n,  # ISATAP
        (0x26064700 << 96) | (0x02005EFE << 32) | n,  # ISATAP, unique
    ]
    for one in wrapped:
        assert not is_public(IPv6Address(one))
        assert one == 1 or not is_loopback(IPv6Address(one))


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_outside_of_global_unicast_is_public(address: IPv6Address) -> None:
    assert not is_public(address) or (address.is_global and int(address) >> 125 == 1)


@pytest.mark.parametrize(
    "text",
    ["", "a.example", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1:80", "[::1]",
     "1.1.1.1/32", " 1.1.1.1", "1.1.1.1\n", "\u0661.1.1.1"],
)  # fmt: skip
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
