"""Bearer tokens, one-time codes and invitations (PROTOCOL.md §5)."""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from api.crypto.failures import InvalidInput

Letter = Literal["m", "d"]
"""`m` is a member's bearer token, `d` a moderator's."""

_SECRET_LENGTH = 32
_BEARER = re.compile(r"psl_[md]_[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"[A-Za-z0-9_-]{43}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?")
_INVITATION = re.compile(r"([^#]{1,300})/join#([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")


def new_bearer(letter: Letter, chance: Callable[[int], bytes]) -> str:
    """Return a new bearer token; `chance(n)` gives n random bytes."""
    return f"psl_{letter}_{new_code(chance)}"


def bearer_bytes(text: str) -> bytes:
    """Return a bearer token as the exact ASCII it is.

    Raises InvalidInput `unauthenticated` for what has not the form of one.
    """
    if not _BEARER.fullmatch(text):
        raise InvalidInput("unauthenticated")
    return text.encode("ascii")


def bearer_letter(text: str) -> Letter:
    """Return the letter of a bearer token's role. Raises as `bearer_bytes` does."""
    return "d" if bearer_bytes(text).startswith(b"psl_d_") else "m"


def bearer_digest(text: str) -> bytes:
    """Return the 32 bytes by which a bearer token is stored (BLAKE2b-256, RFC 7693).

    Raises as `bearer_bytes` does.
    """
    return hashlib.blake2b(bearer_bytes(text), digest_size=32).digest()


def new_code(chance: Callable[[int], bytes]) -> str:
    """Return a new one-time code: 32 random bytes as 43 base64url characters."""
    return base64.urlsafe_b64encode(chance(_SECRET_LENGTH)).decode("ascii").rstrip("=")


def code_digest(code: str) -> bytes:
    """Return the 32 bytes by which a one-time code is stored.

    Raises InvalidInput `invalid-request` for what has not the form of one.
    """
    if not _CODE.fullmatch(code):
        raise InvalidInput("invalid-request")
    return hashlib.blake2b(
        code.encode("ascii"), digest_size=_SECRET_LENGTH, person=b"parasol code"
    ).digest()


@dataclass(frozen=True, slots=True)
class Invitation:
    """The line an operator gives by hand: where, the one-time code, the root fingerprint."""

    address: str
    code: str = field(repr=False)
    root: bytes


def parse_invitation(line: str) -> Invitation:
    """Return the parts of `ADDRESS/join#CODE.ROOT`; scheme and host in lower case.

    ADDRESS is https with a host and at most a port; plain http only where nobody is in between:
    a loopback host, or an onion service, which encrypts by itself.
    Raises InvalidInput `invalid-invitation` for anything else.
    """
    whole = _INVITATION.fullmatch(line.strip())
    if whole is None:
        raise InvalidInput("invalid-invitation")
    address, code, root = whole.groups()
    return Invitation(address=_checked(address.lower()), code=code, root=bytes.fromhex(root))


def format_invitation(invitation: Invitation) -> str:
    """Return the line that `parse_invitation` reads."""
    return f"{invitation.address}/join#{invitation.code}.{invitation.root.hex()}"


def format_access(bearer: str, collective: str, root: bytes) -> str:
    """Return the line `TOKEN.COLLECTIVE.ROOT` by which an access is taken along to a browser.

    With the root fingerprint, so that the browser too knows by itself whom it may trust.
    """
    return f"{bearer}.{collective}.{root.hex()}"


def _checked(address: str) -> str:
    parts = _ADDRESS.fullmatch(address)
    if parts is None or int(parts["port"] or 1) >= 1 << 16:
        raise InvalidInput("invalid-invitation")
    if parts["scheme"] == "http" and not _is_private(parts["host"]):
        raise InvalidInput("invalid-invitation")
    return address


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".onion"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
