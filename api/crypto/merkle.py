"""The Merkle tree of a log (RFC 6962 §2.1). Leaf hashes are `envelopes.entry_id`."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

from api.crypto.failures import InvalidInput

HASH_SIZE = 32
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


class Frontier:
    """All that is needed of a tree to go on with it: the roots of its full subtrees.

    There are as many of them as `size` has bits set; the largest, which is the oldest, is first.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: bytes = b"") -> None:
        """Begin with a tree of `size` leaves, whose `peaks` `bytes(frontier)` has given.

        Raises InvalidInput `malformed` where the two do not fit each other.
        """
        if size < 0 or len(peaks) != HASH_SIZE * size.bit_count():
            raise InvalidInput("malformed")
        self.size = size
        self._peaks = [peaks[i : i + HASH_SIZE] for i in range(0, len(peaks), HASH_SIZE)]

    def __bytes__(self) -> bytes:
        """Return the roots of the full subtrees, 32 bytes each, the largest first."""
        return b"".join(self._peaks)

    def copy(self) -> Self:
        """Return one that goes on by itself."""
        return type(self)(self.size, bytes(self))

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the end."""
        peak, size = leaf, self.size
        while size & 1:
            peak = _node(self._peaks.pop(), peak)
            size >>= 1
        self._peaks.append(peak)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes at the end, in their order."""
        for leaf in leaves:
            self.append(leaf)

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self._peaks:
            return EMPTY
        *others, root = self._peaks
        for peak in reversed(others):
            root = _node(peak, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
