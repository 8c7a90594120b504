"""Which addresses a partner may have: those that anybody in the world could reach as well.

A partner names its own host, so it could name our router, our database, or a cloud's metadata.
`ipaddress.is_global` is asked too, but it takes multicast, and addresses that wrap others.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_CLOSED_V4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by customers of a provider
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # where Azure's machines find their host, though it looks public
        "169.254.0.0/16",  # link-local, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All that is not global unicast is closed: among it loopback, unspecified, link-local,
# site-local and unique local addresses, multicast, and those that wrap an address of IPv4:
# mapped (::ffff:0:0/96), compatible (::/96), NAT64 (64:ff9b::/96 and 64:ff9b:1::/48).
_UNICAST: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = frozenset({bytes.fromhex("00005efe"), bytes.fromhex("02005efe")})


def parse_address(text: str) -> Address | None:
    """Return the address that a resolver wrote as `text`, or None for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether anybody could reach it; of no wrapped form is it asked what is inside."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _CLOSED_V4)
    return (
        address.is_global
        and address.scope_id is None
        and address in _UNICAST
        and not any(address in block for block in _CLOSED_V6)
        and address.packed[8:12] not in _ISATAP
    )


def is_loopback(address: Address) -> bool:
    """Whether it is this machine's own, in its plain form."""
    if isinstance(address, IPv4Address):
        return address.is_loopback
    return address == IPv6Address("::1")
