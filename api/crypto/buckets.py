"""The sealed list a client fetches instead of asking about one person (PROTOCOL.md §3).

Without the token an entry is noise: neither who is listed nor what is said can be read from a
file, and unused slots look like all others.
"""

import hmac
import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha512
from typing import Final

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from api.crypto.failures import InvalidInput

MAX_BITS: Final = 8
DEFAULT_LIMIT: Final = 131_072
SMALL: Final = 48 * 1024
MAX_AGE: Final = 48 * 3600
MAX_AHEAD: Final = 3600

_MOST: Final = 255
_MAGIC: Final = b"PARASOL1"
_HEADER: Final = struct.Struct(">8sIB3sIII16s")
_ENTRY_SIZE: Final = 12
_PREFIX_SIZE: Final = 7
_SIGNATURE_SIZE: Final = 64
_SALT_SIZE: Final = 16
_STEP: Final = 256
_NOTHING: Final = bytes(_PREFIX_SIZE)
_BLOCK: Final = 128
"""Of SHA-512, in bytes."""
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class BucketOverflow(Exception):  # noqa: N818  (no error: the layout is planned again, larger)
    """More entries belong into a bucket than it has slots."""


@dataclass(frozen=True, slots=True)
class Counts:
    """All that is ever said about a reported person (PROTOCOL.md §3, Counts)."""

    danger: int
    risk: int
    nuisance: int
    collectives: int
    recent: int

    @property
    def total(self) -> int:
        """The number of reports, at most 255."""
        return min(255, self.danger + self.risk + self.nuisance)

    def encode(self) -> bytes:
        """Return five bytes, each saturating at 255."""
        counts = (self.danger, self.risk, self.nuisance, self.collectives, self.recent)
        try:
            return bytes(counts)
        except ValueError:  # hardly ever: not looked for in every entry
            return bytes(min(_MOST, one) for one in counts)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the list is cut: 2^bits buckets of `slots` entries each."""

    bits: int
    slots: int

    @property
    def size(self) -> int:
        """The length of one bucket's file in bytes."""
        return _HEADER.size + self.slots * _ENTRY_SIZE + _SIGNATURE_SIZE


@dataclass(frozen=True, slots=True)
class Bucket:
    """A file that was checked; `entries` are sorted, 12 bytes each; `sealed` is in Unix hours."""

    network: str
    epoch: int
    layout: Layout
    index: int
    sealed: int
    salt: bytes = field(repr=False)
    entries: tuple[bytes, ...] = field(repr=False)


def plan_layout(tokens: int, limit: int = DEFAULT_LIMIT, extra: int = 0) -> Layout:
    """Choose the layout for a number of tokens: as few bits as keep a file within `limit` bytes.

    `extra` counts how often the number was rounded up by 256 more, for a bucket to fit. When no
    layout fits, the one of most bits (8) is returned all the same.
    """
    rounded = _STEP * (max(1, math.ceil(tokens / _STEP)) + extra)
    layouts = [Layout(bits, _slots(rounded, bits)) for bits in range(MAX_BITS + 1)]
    return next((layout for layout in layouts if layout.size <= limit), layouts[-1])


def _slots(rounded: int, bits: int) -> int:
    if bits == 0:
        return rounded
    mean = rounded / (1 << bits)
    return math.ceil(mean + 7 * math.sqrt(mean)) + 16


def bucket_word(token: bytes, network: str, epoch: int) -> int:
    """Return the u32 whose top bits choose a token's bucket (PROTOCOL.md §3 step 4)."""
    return int.from_bytes(hmac.digest(token, _label(b"bucket", network, epoch), "sha512")[:4])


def bucket_index(word: int, bits: int) -> int:
    """Return the top `bits` bits of `word`, 0 when there are none.

    Raises InvalidInput `bucket-bits` outside 0 to 8: a finer cut would tell the instance who is
    asked about, so a client must stop here, before it fetches anything.
    """
    _check_bits(bits)
    return word >> (32 - bits)


def seal_bucket(
    entries: Sequence[tuple[bytes, Counts]],
    *,
    network: str,
    epoch: int,
    layout: Layout,
    index: int,
    sealed: int,
    salt: bytes,
    log_seed: bytes,
    chance: Callable[[int], bytes],
) -> bytes:
    """Seal the (token, counts) pairs of one bucket into a signed file.

    `sealed` is the time in hours since 1970; `salt` 16 random bytes, never used twice: a pad
    depends on nothing else that changes; `log_seed` the log key's Ed25519 seed (32 bytes);
    `chance(n)` gives n random bytes for the unused slots.

    Raises BucketOverflow for more entries than slots, InvalidInput `bucket-malformed` for a salt
    or chance of the wrong length.
    """
    unused = layout.slots - len(entries)
    if unused < 0:
        raise BucketOverflow
    noise = chance(unused * _ENTRY_SIZE)
    if len(salt) != _SALT_SIZE or len(noise) != unused * _ENTRY_SIZE:
        raise InvalidInput("bucket-malformed")
    header = _HEADER.pack(_MAGIC, epoch, layout.bits, bytes(3), index, layout.slots, sealed, salt)
    message = _entry_message(network, epoch, salt)
    # A million are sealed so: each by its own hash, and by one XOR with what all of them say.
    pads = _hashes([token for token, _ in entries], message)
    said = b"".join([_NOTHING + counts.encode() for _, counts in entries])
    used = (int.from_bytes(pads) ^ int.from_bytes(said)).to_bytes(len(pads))
    body = sorted(_entries(layout.slots).unpack(used + noise))
    content = header + b"".join(body)
    return content + SigningKey(log_seed).sign(_signed(network, content)).signature


def _hashes(tokens: Iterable[bytes], message: bytes) -> bytes:
    """Return the first 12 bytes of HMAC-SHA-512(token, message) of each token, one after another.

    RFC 2104 §2 written out, for tokens of at most a block: most of the time of `hmac.digest` goes
    into preparing each.
    """
    hashes = []
    for token in tokens:
        key = token.ljust(_BLOCK, b"\0")
        inner = sha512(key.translate(_INNER) + message).digest()
        hashes.append(sha512(key.translate(_OUTER) + inner).digest()[:_ENTRY_SIZE])
    return b"".join(hashes)


def open_bucket(
    file: bytes,
    *,
    network: str,
    epoch: int,
    bits: int,
    index: int,
    log_key: bytes,
    now: int,
    small: bool = False,
) -> Bucket:
    """Check a file as a client must (PROTOCOL.md §3 step 6) before an absent entry means anything.

    `epoch`, `bits` and `index` are those asked for; `log_key` is the identity's Ed25519 key (32
    bytes); `now` is in Unix seconds; `small` is for networks named `test-…`.

    Raises InvalidInput `bucket-malformed`, `bucket-signature`, `bucket-other` (not the bucket
    asked for), `bucket-bits`, `bucket-small`, `bucket-stale` or `bucket-future`.
    """
    bucket = _read(file, network)
    try:
        VerifyKey(log_key).verify(
            _signed(network, file[:-_SIGNATURE_SIZE]), file[-_SIGNATURE_SIZE:]
        )
    except (CryptoError, ValueError):
        raise InvalidInput("bucket-signature") from None
    if (bucket.epoch, bucket.layout.bits, bucket.index) != (epoch, bits, index):
        raise InvalidInput("bucket-other")
    _check_bits(bits)
    if bits > 0 and len(file) <= SMALL and not small:
        raise InvalidInput("bucket-small")
    check_age(bucket, now)
    return bucket


def check_age(bucket: Bucket, now: int) -> None:
    """Hold a bucket, opened now or before, to the time in Unix seconds.

    Raises InvalidInput `bucket-stale` or `bucket-future`.
    """
    age = now - bucket.sealed * 3600
    if age > MAX_AGE:
        raise InvalidInput("bucket-stale")
    if age < -MAX_AHEAD:
        raise InvalidInput("bucket-future")


def find(bucket: Bucket, token: bytes) -> Counts | None:
    """Return what the bucket says about a token; None when it has no entry: no match."""
    h = hmac.digest(token, _entry_message(bucket.network, bucket.epoch, bucket.salt), "sha512")
    prefix = h[:_PREFIX_SIZE]
    position = bisect_left(bucket.entries, prefix)
    # An entry is opened whether or not it is the one: both take as long.
    entry = bucket.entries[position] if position < len(bucket.entries) else bytes(_ENTRY_SIZE)
    sealed, pad = entry[_PREFIX_SIZE:], h[_PREFIX_SIZE:_ENTRY_SIZE]
    counts = Counts(*(one ^ other for one, other in zip(sealed, pad, strict=True)))
    return counts if entry.startswith(prefix) else None


def _read(file: bytes, network: str) -> Bucket:
    if len(file) < _HEADER.size + _SIGNATURE_SIZE:
        raise InvalidInput("bucket-malformed")
    magic, epoch, bits, reserved, index, slots, sealed, salt = _HEADER.unpack_from(file)
    layout = Layout(bits, slots)
    if magic != _MAGIC or reserved != bytes(3) or len(file) != layout.size:
        raise InvalidInput("bucket-malformed")
    entries = _entries(slots).unpack_from(file, _HEADER.size)
    # An entry out of its place would not be found, which reads as "no warning".
    if list(entries) != sorted(entries):
        raise InvalidInput("bucket-malformed")
    return Bucket(network, epoch, layout, index, sealed, salt, entries)


def _check_bits(bits: int) -> None:
    if not 0 <= bits <= MAX_BITS:
        raise InvalidInput("bucket-bits")


@lru_cache(maxsize=4)
def _entries(slots: int) -> struct.Struct:
    """Return what cuts a file's entries, six times as fast as slicing them off."""
    return struct.Struct(f"{_ENTRY_SIZE}s" * slots)


# A list has a million tokens and a handful of labels.
@lru_cache(maxsize=64)
def _label(name: bytes, network: str, epoch: int) -> bytes:
    return b"\0".join((b"parasol/v1", name, network.encode(), epoch.to_bytes(4)))


def _entry_message(network: str, epoch: int, salt: bytes) -> bytes:
    return _label(b"entry", network, epoch) + b"\0" + salt


def _signed(network: str, content: bytes) -> bytes:
    return b"\0".join((b"parasol/v1", b"bucket file", network.encode(), content))
