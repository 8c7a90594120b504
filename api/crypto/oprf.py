"""The verifiable oblivious function: RFC 9497, mode 0x01, suite ristretto255-SHA512.

The client learns k · HashToGroup(x) and that this k is the announced one; the instance learns
nothing about x. Without the RFC's `Finalize`, which would tie a token to one key for ever
(PROTOCOL.md §2).
"""

import contextlib
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from api.crypto.failures import InvalidInput
from api.crypto.ristretto import (
    GENERATOR,
    Element,
    Scalar,
    element,
    hash_to_element,
    multiply,
    multiply_base,
    scalar,
    scalar_from_uniform,
    scalar_invert,
    scalar_mul,
    scalar_sub,
    weighted_sum,
)

SEED_SIZE: Final = 32
PROOF_SIZE: Final = 64

_CONTEXT: Final = b"OPRFV1-\x01-ristretto255-SHA512"
_MAX_LENGTH: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Part:
    """What the holder of one key, or of one share of it, answers.

    `elements[i]` = k · the i-th element asked for; `proof` is one DLEQ proof (64 bytes) for all.
    """

    share: int
    elements: tuple[Element, ...]
    proof: bytes


class Evaluator(Protocol):
    """Whatever stands for the network's key: the key itself now, a quorum of shares later."""

    def evaluate(self, elements: Sequence[Element]) -> tuple[Part, ...]:
        """Return one part a share, each for all `elements` in their order."""


class KeyEvaluator:
    """The network's key in one piece: one part, share 0."""

    __slots__ = ("_chance", "_k", "public_key")

    def __init__(self, k: Scalar, chance: Callable[[int], bytes]) -> None:
        """Hold the key `k`; `chance(n)` gives n fresh secret random bytes for each proof.

        Raises InvalidInput `invalid-scalar` for a key that is not one.
        """
        self._k = scalar(k)
        self._chance = chance
        self.public_key = public_key(k)

    def __repr__(self) -> str:
        return "KeyEvaluator()"

    def evaluate(self, elements: Sequence[Element]) -> tuple[Part, ...]:
        """Evaluate and prove in one go (RFC 9497 §3.3.2, `BlindEvaluate`).

        Raises InvalidInput `invalid-element` for none, too many, or one that is not an element.
        """
        evaluated = tuple(multiply(self._k, blinded) for blinded in elements)
        r = scalar_from_uniform(self._chance(64))
        return (Part(0, evaluated, prove(self._k, self.public_key, elements, evaluated, r)),)

    def token(self, x: bytes) -> Element:
        """Return k · HashToGroup(x), what a client would find by asking (PROTOCOL.md §2)."""
        return multiply(self._k, hash_to_group(x))


def hash_to_group(x: bytes) -> Element:
    """Map any bytes to an element nobody knows the logarithm of (RFC 9497 §4.1)."""
    return hash_to_element(_expand(x, b"HashToGroup-" + _CONTEXT))


def derive_key(seed: bytes, info: bytes) -> Scalar:
    """Derive a secret key from a secret seed of 32 bytes and public `info` (RFC 9497 §3.2.1).

    Raises InvalidInput `invalid-seed` for a seed or info of another length.
    """
    if len(seed) != SEED_SIZE or len(info) > _MAX_LENGTH:
        raise InvalidInput("invalid-seed")
    material = seed + _framed(info)
    for counter in range(256):
        with contextlib.suppress(InvalidInput):  # zero, once in 2²⁵²
            return _hash_to_scalar(material + bytes([counter]), b"DeriveKeyPair" + _CONTEXT)
    raise InvalidInput("invalid-seed")


def public_key(k: Scalar) -> Element:
    """Return K = k · G."""
    return multiply_base(k)


def blind(x: bytes, r: Scalar) -> Element:
    """Return r · HashToGroup(x); `r` is random, secret and used once (RFC 9497 §3.3.2)."""
    return multiply(r, hash_to_group(x))


def unblind(evaluated: Element, r: Scalar) -> Element:
    """Return r⁻¹ · evaluated, the token, once the proof was verified.

    Raises InvalidInput `invalid-scalar` for a blind of zero.
    """
    return multiply(scalar_invert(r), evaluated)


def prove(
    k: Scalar,
    public: Element,
    blinded: Sequence[Element],
    evaluated: Sequence[Element],
    r: Scalar,
) -> bytes:
    """Prove that evaluated[i] = k · blinded[i] for the k of `public` (RFC 9497 §2.2.1).

    `r` is random, secret and used once: a second use gives away `k`. Returns c || s, 64 bytes.

    Raises InvalidInput `invalid-element` for empty, unequal or too long batches.
    """
    weights = _weights(public, blinded, evaluated)
    m = element(weighted_sum(weights, blinded))
    z = multiply(k, m)
    c = _challenge(public, m, z, multiply_base(r), multiply(r, m))
    return c + scalar_sub(r, scalar_mul(c, k))


def verify(
    public: Element, blinded: Sequence[Element], evaluated: Sequence[Element], proof: bytes
) -> None:
    """Check a proof of `prove` (RFC 9497 §2.2.2).

    Raises InvalidInput `bad-proof` for whatever is wrong with any of the arguments.
    """
    if len(proof) != PROOF_SIZE:
        raise InvalidInput("bad-proof")
    try:
        c, s = (scalar(half, allow_zero=True) for half in (proof[:32], proof[32:]))
        weights = _weights(public, blinded, evaluated)
        m = element(weighted_sum(weights, blinded))
        z = element(weighted_sum(weights, evaluated))
        t2 = weighted_sum((s, c), (GENERATOR, public))
        t3 = weighted_sum((s, c), (m, z))
        expected = _challenge(public, m, z, t2, t3)
    except InvalidInput:
        raise InvalidInput("bad-proof") from None
    if not hmac.compare_digest(c, expected):
        raise InvalidInput("bad-proof")


def _weights(
    public: Element, blinded: Sequence[Element], evaluated: Sequence[Element]
) -> list[Scalar]:
    """Return the d_i of RFC 9497 §2.2.1, `ComputeComposites`."""
    if not 0 < len(blinded) == len(evaluated) <= _MAX_LENGTH:
        raise InvalidInput("invalid-element")
    seed = hashlib.sha512(_framed(public) + _framed(b"Seed-" + _CONTEXT)).digest()
    return [
        _hash_to_scalar(
            _framed(seed) + i.to_bytes(2) + _framed(before) + _framed(after) + b"Composite"
        )
        for i, (before, after) in enumerate(zip(blinded, evaluated, strict=True))
    ]


def _challenge(public: Element, m: Element, z: Element, t2: bytes, t3: bytes) -> Scalar:
    transcript = b"".join(_framed(part) for part in (public, m, z, t2, t3))
    return _hash_to_scalar(transcript + b"Challenge")


def _hash_to_scalar(data: bytes, tag: bytes = b"HashToScalar-" + _CONTEXT) -> Scalar:
    return scalar_from_uniform(_expand(data, tag))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def _expand(message: bytes, tag: bytes) -> bytes:
    """Return 64 bytes: RFC 9380 §5.3.1, `expand_message_xmd` with SHA-512, which is one block."""
    tail = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(128) + message + (64).to_bytes(2) + b"\0" + tail).digest()
    return hashlib.sha512(first + b"\x01" + tail).digest()
