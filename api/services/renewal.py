"""New keys of the server's own: drafts that announce them, for the root keys to sign."""

import os
from pathlib import Path

from api.crypto.envelopes import public_key
from api.errors import Conflict
from api.keyring import KEY_BYTES, Keyring, add_key
from api.services.drafts import Changes
from api.services.identities import Identities
from api.services.instance import number_of
from schemas.documents import Identity


class Renewal:
    """Makes the key files first: an identity must never name a key that is not there.

    A key that was made and not announced, since nobody signed, is the one the next draft names.
    """

    def __init__(self, identities: Identities, keys: Path) -> None:
        """Make keys in the folder `keys`."""
        self._identities = identities
        self._keys = keys

    def http(self) -> Identity:
        """Return the next identity, with one more http key than is in force."""
        pinned, ring = self._identities.current(), Keyring.load(self._keys)
        newest = public_key(ring.http_seeds()[0])
        if newest in pinned.http_keys:
            newest = self._made(f"http-{_next_number(ring)}")
        return self._identities.draft(Changes(http_keys={*pinned.http_keys, newest}))

    def newest_http_alone(self) -> Identity:
        """Return the next identity, with the newest http key that is announced and no other.

        Raises Conflict where there is no other in force.
        """
        pinned, ring = self._identities.current(), Keyring.load(self._keys)
        held = (public_key(seed) for seed in ring.http_seeds())
        newest = next((key for key in held if key in pinned.http_keys), None)
        if newest is None or len(pinned.http_keys) == 1:
            raise Conflict
        return self._identities.draft(Changes(http_keys=[newest]))

    def log(self) -> Identity:
        """Return the next identity, with the log of the next number and a key of its own."""
        pinned, ring = self._identities.current(), Keyring.load(self._keys)
        name = f"log-{number_of(pinned.log) + 1}"
        held = ring.later.get(name)
        key = self._made(name) if held is None else public_key(held)
        return self._identities.draft(Changes(log_key=key))

    def _made(self, name: str) -> bytes:
        seed = os.urandom(KEY_BYTES)
        add_key(self._keys, name, seed)
        return public_key(seed)


def _next_number(ring: Keyring) -> int:
    """Return the number of the next http key; the first has none."""
    numbers = (int(name[5:]) for name in ring.later if name.startswith("http-"))
    return max(numbers, default=1) + 1
