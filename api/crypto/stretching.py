"""Argon2id before the blinding (PROTOCOL.md §2): a leaked key and list still cost work a guess."""

import hashlib
from dataclasses import dataclass
from typing import Final

from argon2.low_level import Type, hash_secret_raw

from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier

MIN_MEMORY_KIB: Final = 19_456
MIN_PASSES: Final = 2
# A hostile identity must not be able to exhaust a phone.
MAX_MEMORY_KIB: Final = 1_048_576
MAX_PASSES: Final = 64

_ARGON2_VERSION: Final = 0x13
_LEAST_ARGON2_MEMORY_KIB: Final = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """A network's Argon2id cost: `m_kib` KiB of memory, `t` passes, always one lane."""

    m_kib: int
    t: int


def check_cost(cost: Cost, network: str) -> None:
    """Refuse a cost that no network may have; those named `test-…` may be cheap.

    Raises InvalidInput `weak-cost` or `excessive-cost` (PROTOCOL.md §2; RFC 9106 §3.1 for the
    least that Argon2 accepts).
    """
    if network.startswith("test-"):
        weak = cost.m_kib < _LEAST_ARGON2_MEMORY_KIB or cost.t < 1
    else:
        weak = cost.m_kib < MIN_MEMORY_KIB or cost.t < MIN_PASSES
    if weak:
        raise InvalidInput("weak-cost")
    if cost.m_kib > MAX_MEMORY_KIB or cost.t > MAX_PASSES:
        raise InvalidInput("excessive-cost")


def network_salt(network: str) -> bytes:
    """Return the 16-byte salt of a network id (PROTOCOL.md §2, `salt`)."""
    return hashlib.sha256(b"parasol/v1 argon2 salt\0" + network.encode()).digest()[:16]


def stretch(identifier: Identifier, network: str, cost: Cost) -> bytes:
    """Return the 32 bytes `x` of PROTOCOL.md §2: Argon2id v1.3 with one lane (RFC 9106).

    Takes `cost.m_kib` KiB and, at the usual cost, about 100 ms without the interpreter's lock:
    run it in a bounded pool.

    Raises InvalidInput as `check_cost` does.
    """
    check_cost(cost, network)
    return hash_secret_raw(
        secret=identifier.encoded(),
        salt=network_salt(network),
        time_cost=cost.t,
        memory_cost=cost.m_kib,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
        version=_ARGON2_VERSION,
    )
