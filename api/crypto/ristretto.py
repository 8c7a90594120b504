"""The group ristretto255 (RFC 9496) by libsodium: the one place that touches rbcl.

Bytes from outside become an `Element` or a `Scalar` here or are refused; everything else takes
these types. Safe in threads: rbcl gives each call its own buffer, and these libsodium functions
keep no state after the initialisation that the import does.
"""

import contextlib
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Final, NewType

import rbcl
from rbcl._sodium import lib_path

from api.crypto.failures import InvalidInput

# rbcl leaves a copy of its libsodium in the temporary folder at every start. Once loaded it needs
# no name; where a loaded library can't be removed, the copy stays.
with contextlib.suppress(OSError):
    Path(lib_path).unlink(missing_ok=True)

Element = NewType("Element", bytes)
"""32 bytes: the canonical encoding of a point that is not the identity."""

Scalar = NewType("Scalar", bytes)
"""32 bytes, little-endian, below ORDER; zero only as the outcome of arithmetic."""

ORDER: Final = 2**252 + 27742317777372353535851937790883648493

_SIZE: Final = 32
_UNIFORM_SIZE: Final = 64
_ZERO: Final = bytes(_SIZE)  # the scalar 0, and the encoding of the identity


def element(data: bytes) -> Element:
    """Accept 32 bytes from outside as a point (RFC 9496 §4.3.1).

    Raises InvalidInput `invalid-element` unless they are the canonical encoding of a valid point
    other than the identity.
    """
    # libsodium does not look at the highest bit: a second spelling of every point would pass.
    if len(data) != _SIZE or data == _ZERO or data[-1] & 0x80:
        raise InvalidInput("invalid-element")
    if not rbcl.crypto_core_ristretto255_is_valid_point(data):
        raise InvalidInput("invalid-element")
    return Element(data)


def scalar(data: bytes, *, allow_zero: bool = False) -> Scalar:
    """Accept 32 little-endian bytes from outside as a scalar (RFC 9496 §4.4).

    Raises InvalidInput `invalid-scalar` unless below ORDER and, but with `allow_zero` (the
    scalars of a proof), other than zero.
    """
    if len(data) != _SIZE or int.from_bytes(data, "little") >= ORDER:
        raise InvalidInput("invalid-scalar")
    if data == _ZERO and not allow_zero:
        raise InvalidInput("invalid-scalar")
    return Scalar(data)


def scalar_from_uniform(data: bytes) -> Scalar:
    """Reduce 64 uniform bytes to a scalar (RFC 9496 §4.4).

    Raises InvalidInput `invalid-scalar` for another length or when the result is zero.
    """
    if len(data) != _UNIFORM_SIZE:
        raise InvalidInput("invalid-scalar")
    return scalar(rbcl.crypto_core_ristretto255_scalar_reduce(data))


def hash_to_element(data: bytes) -> Element:
    """Map 64 uniform bytes to a point (RFC 9496 §4.3.4).

    Raises InvalidInput `invalid-element` for another length or when the result is the identity.
    """
    if len(data) != _UNIFORM_SIZE:
        raise InvalidInput("invalid-element")
    return element(rbcl.crypto_core_ristretto255_from_hash(data))


def add(p: Element, q: Element) -> Element:
    """Return p + q; raises InvalidInput `invalid-element` when that is the identity."""
    # libsodium's sum of a bad point is no error but whatever lay in the buffer.
    return element(rbcl.crypto_core_ristretto255_add(element(p), element(q)))


def multiply(k: Scalar, p: Element) -> Element:
    """Return k · p; raises InvalidInput `invalid-element` when that is the identity."""
    try:
        return Element(rbcl.crypto_scalarmult_ristretto255(k, p))
    except (RuntimeError, ValueError):
        raise InvalidInput("invalid-element") from None


def multiply_base(k: Scalar) -> Element:
    """Return k · G, G the generator; raises InvalidInput `invalid-element` for the identity."""
    try:
        return Element(rbcl.crypto_scalarmult_ristretto255_base(k))
    except (RuntimeError, ValueError):
        raise InvalidInput("invalid-element") from None


def weighted_sum(weights: Sequence[Scalar], elements: Sequence[Element]) -> bytes:
    """Return the encoding of Σ weightᵢ · elementᵢ: 32 bytes that may be the identity's.

    Whoever makes a proof can force the identity as an intermediate result of its verification, or
    a weight of zero; here, as in RFC 9497 §2.2.2, both are values like others.

    Raises InvalidInput `invalid-element` for an element that is not one.
    """
    products = [
        # Given a bad point rbcl would return the identity, as if the weight were zero.
        rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(weight, element(p))
        for weight, p in zip(weights, elements, strict=True)
    ]
    return reduce(rbcl.crypto_core_ristretto255_add, products) if products else _ZERO


def scalar_add(a: Scalar, b: Scalar) -> Scalar:
    """Return a + b modulo ORDER."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_add(a, b))


def scalar_sub(a: Scalar, b: Scalar) -> Scalar:
    """Return a - b modulo ORDER."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_sub(a, b))


def scalar_mul(a: Scalar, b: Scalar) -> Scalar:
    """Return a · b modulo ORDER."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_mul(a, b))


def scalar_negate(a: Scalar) -> Scalar:
    """Return -a modulo ORDER."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_negate(a))


def scalar_invert(a: Scalar) -> Scalar:
    """Return 1/a modulo ORDER; raises InvalidInput `invalid-scalar` for zero."""
    if a == _ZERO:
        raise InvalidInput("invalid-scalar")
    return Scalar(rbcl.crypto_core_ristretto255_scalar_invert(a))


GENERATOR: Final = multiply_base(Scalar((1).to_bytes(_SIZE, "little")))
