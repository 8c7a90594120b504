"""Fingerprints as words, to be compared by voice."""

import hashlib

from mnemonic import Mnemonic

_COMPARED = 16
_GROUP = 3


def key_words(sign: bytes, box: bytes) -> str:
    """Return the words for a moderator's two public keys, as her device and others show them."""
    return fingerprint_words(hashlib.sha256(sign + box).digest())


def fingerprint_words(digest: bytes) -> str:
    """Return the first 16 bytes of a SHA-256 as 12 words (BIP-39, English), three to a group.

    128 bits suffice: whoever would be taken for somebody else must hit *her* fingerprint, which
    takes 2^128 attempts; that two keys of one's own can be made to collide (2^64) helps nobody.
    """
    words = Mnemonic("english").to_mnemonic(digest[:_COMPARED]).split(" ")
    groups = (words[start : start + _GROUP] for start in range(0, len(words), _GROUP))
    return " / ".join(" ".join(group) for group in groups)
