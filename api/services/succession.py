"""The identities of a partner, from the fingerprint that was compared to the newest one (§7)."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.errors import PartnerFailure
from api.trust import (
    check_current,
    follow_chain,
    next_identity,
    root_fingerprint,
    verify_backwards,
)
from schemas.documents import Envelope, Identity

LONGEST_CHAIN = 256
CHAIN_BYTES = 16 * 1024 * 1024
CHAIN_SECONDS = 300
"""Of all versions together: there may be hundreds, and the other partners wait."""
MOST_BYTES = 512 * 1024
"""Of an identity as it travels: base64 makes a payload of 256 KiB a third longer."""

Version = tuple[Identity, Envelope]


class Remote(Protocol):
    """Whoever fetches from partners: `api.partners`, or a test's."""

    def get(self, url: str, *, most: int, signed: bool = True) -> bytes:
        """Return the JSON at `url`, of at most `most` bytes; raise PartnerFailure."""


def first_identities(
    remote: Remote, address: str, origin: str, root: bytes, now: datetime
) -> list[Version]:
    """Return all versions of the identity at `address`, oldest first, the newest being in force.

    The chain is followed from a version whose root keys have the fingerprint `root`; what came
    before is authenticated by its hashes. Raises InvalidInput `identity-refused`; PartnerFailure.
    """
    fetch = _Fetch(remote, address)
    newest, envelope = fetch(None)
    if newest.origin != origin or newest.version > LONGEST_CHAIN:
        raise InvalidInput("identity-refused")
    fetched = [(newest, envelope), *fetch.all(range(newest.version - 1, 0, -1))]
    known = next(
        (at for at, (one, _) in enumerate(fetched) if root_fingerprint(one.root) == root), None
    )
    if known is None:
        raise InvalidInput("identity-refused")
    identity = follow_chain(
        [envelope for _, envelope in reversed(fetched[: known + 1])], root_sha256=root
    )
    verify_backwards(fetched[known][0], [envelope for _, envelope in fetched[known + 1 :]])
    _check_current(identity, now)
    return fetched[::-1]


def next_identities(remote: Remote, address: str, pinned: Identity, now: datetime) -> list[Version]:
    """Return the versions that followed `pinned`, oldest first; none where it is the newest.

    Raises InvalidInput `identity-refused`, or PartnerFailure.
    """
    fetch = _Fetch(remote, address)
    newest, envelope = fetch(None)
    if not pinned.version <= newest.version <= pinned.version + LONGEST_CHAIN:
        raise InvalidInput("identity-refused")
    if newest.version == pinned.version:
        if newest != pinned:
            raise InvalidInput("identity-refused")
        _check_current(pinned, now)
        return []
    between = range(pinned.version + 1, newest.version)
    versions, identity = [*fetch.all(between), (newest, envelope)], pinned
    for _, one in versions:
        identity = next_identity(identity, one)
    _check_current(identity, now)
    return versions


class _Fetch:
    """Fetches versions from an address; all together are so many bytes, and take so long."""

    def __init__(self, remote: Remote, address: str) -> None:
        self._remote, self._address = remote, address
        self._left = CHAIN_BYTES
        self._until = time.monotonic() + CHAIN_SECONDS

    def all(self, versions: Iterable[int]) -> list[Version]:
        """Return versions by their numbers."""
        return [self(version) for version in versions]

    def __call__(self, version: int | None) -> Version:
        """Return a version, by default the newest; raise PartnerFailure, or InvalidInput."""
        query = "" if version is None else f"?version={version}"
        if time.monotonic() > self._until:
            raise PartnerFailure("unreachable")
        body = self._remote.get(f"{self._address}/v1/identity{query}", most=MOST_BYTES)
        self._left -= len(body)
        if self._left < 0:
            raise PartnerFailure("too-large")
        try:
            envelope = Envelope.model_validate_json(body)
            identity = Identity.decode(envelope.payload)
        except ValidationError:
            raise PartnerFailure("bad-answer") from None
        except ValueError:
            raise InvalidInput("identity-refused") from None
        if version is not None and identity.version != version:
            raise InvalidInput("identity-refused")
        return identity, envelope


def _check_current(identity: Identity, now: datetime) -> None:
    try:
        check_current(identity, now)
    except InvalidInput:
        raise InvalidInput("identity-refused") from None
