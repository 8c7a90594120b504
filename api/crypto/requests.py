"""Signed requests between instances: HTTP message signatures of GETs (RFC 9421, PROTOCOL.md §8).

The library builds and reads what is signed; which signatures hold is decided by the one Ed25519
implementation that decides everywhere here, and when, by a time that is an argument. Of what the
standard allows, exactly one form is taken: whatever a partner leaves out or adds is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from api.crypto.envelopes import key_id, public_key, sign_bytes, verify_bytes
from api.crypto.failures import InvalidInput

CLOCK_SKEW: Final = 300
"""Seconds that two honest clocks may be apart."""
LIFETIME: Final = 300
"""Seconds between `created` and `expires`, at most."""
COMPONENTS: Final = ("@method", "@target-uri")
TAG: Final = "parasol-feed"

_INPUT, _SIGNATURE = "signature-input", "signature"
_LABEL = r"[a-z*][a-z0-9_.*-]{0,31}"
# The canonical spelling (RFC 8941 §4.1) of the one form that is taken, its parameters in any
# order: nothing escaped, no space too many, no unused bits in base64.
_PARAMETER = (
    r";(?:created|expires)=[1-9][0-9]{0,11}"
    r'|;keyid="[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="'
    r'|;nonce="[A-Za-z0-9._~+/=-]{16,64}"'
    rf'|;alg="ed25519"|;tag="{TAG}"'
)
_PARAMETERS = 6
_FORM = re.compile(rf'({_LABEL})=\("@method" "@target-uri"\)((?:{_PARAMETER}){{{_PARAMETERS}}})')
_VALUE = re.compile(rf"({_LABEL})=:[A-Za-z0-9+/]{{85}}[AQgw]==:")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself. Nothing of it holds before `verify_request`."""

    keyid: str
    nonce: str
    created: int
    expires: int
    signature_input: str = field(repr=False)
    signature: str = field(repr=False)

    @property
    def until(self) -> int:
        """The last second at which it could be accepted: so long its nonce is remembered."""
        return self.expires + CLOCK_SKEW


def sign_request(
    seed: bytes, method: str, target_uri: str, *, now: int, nonce: str
) -> dict[str, str]:
    """Return the two header fields that sign a request by the http key of a 32-byte seed.

    `target_uri` is the whole URL, spelled as it will be sent; `nonce` is new for every request:
    16 to 64 characters of base64, or `.`, `_`, `~`, `-`.
    """
    message = _Message(method, target_uri, {})
    HTTPMessageSigner(signature_algorithm=_Ed25519, key_resolver=_OneKey(seed)).sign(
        message,
        key_id=key_id(public_key(seed)),
        created=datetime.fromtimestamp(now, UTC),
        expires=datetime.fromtimestamp(now + LIFETIME, UTC),
        nonce=nonce,
        label="parasol",
        tag=TAG,
        covered_component_ids=COMPONENTS,
    )
    return message.headers


def read_request(headers: Iterable[tuple[str, str]]) -> Claim:
    """Return what the header fields (with all repetitions) claim: whose key to look for.

    Raises InvalidInput `bad-signature` for anything but one signature of the one form.
    """
    fields: dict[str, list[str]] = {_INPUT: [], _SIGNATURE: []}
    for name, value in headers:
        fields.get(name.lower(), []).append(value)
    if not len(fields[_INPUT]) == len(fields[_SIGNATURE]) == 1:
        raise InvalidInput("bad-signature")
    (signature_input,), (signature,) = fields[_INPUT], fields[_SIGNATURE]
    form, signed = _FORM.fullmatch(signature_input), _VALUE.fullmatch(signature)
    if form is None or signed is None or form[1] != signed[1]:
        raise InvalidInput("bad-signature")
    named = dict(part.split("=", 1) for part in form[2].removeprefix(";").split(";"))
    if len(named) != _PARAMETERS:  # so that none of the six is there twice, nor absent
        raise InvalidInput("bad-signature")
    created, expires = int(named["created"]), int(named["expires"])
    if not created <= expires <= created + LIFETIME:
        raise InvalidInput("bad-signature")
    keyid, nonce = named["keyid"].strip('"'), named["nonce"].strip('"')
    return Claim(keyid, nonce, created, expires, signature_input, signature)


def verify_request(claim: Claim, public: bytes, method: str, target_uri: str, *, now: int) -> None:
    """Accept a claim for the request that it came with, by the 32-byte public key of its `keyid`.

    `target_uri` is made from the configured public address, never from what was sent as `Host`.
    Whether the nonce is new is for the caller to decide, afterwards.
    Raises InvalidInput `bad-signature`, or `clock-skew` for a signature that holds at another
    time only.
    """
    fields = {_INPUT: claim.signature_input, _SIGNATURE: claim.signature}
    verifier = _Verifier(signature_algorithm=_Ed25519, key_resolver=_OneKey(public))
    try:
        if claim.keyid != key_id(public):
            raise InvalidInput("bad-signature")
        verifier.verify(
            _Message(method, target_uri, fields),
            max_age=None, expect_tag=TAG, require_components=COMPONENTS,
        )  # fmt: skip
    except HTTPMessageSignaturesException:
        raise InvalidInput("bad-signature") from None
    if not claim.created - CLOCK_SKEW <= now <= claim.until:
        raise InvalidInput("clock-skew")


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the library wants to see it; its signer writes into `headers`."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _OneKey(HTTPSignatureKeyResolver):
    """Whoever verifies has found the key already, and whoever signs has one."""

    key: bytes = field(repr=False)

    def resolve_private_key(self, _key_id: str) -> bytes:
        return self.key

    def resolve_public_key(self, _key_id: str) -> bytes:
        return self.key


class _Ed25519(HTTPSignatureAlgorithm):
    """Ours instead of the library's, which would take keys and signatures that we refuse."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: bytes = b"", private_key: bytes = b"") -> None:
        self._public, self._seed = public_key, private_key

    def sign(self, message: bytes) -> bytes:
        return sign_bytes(self._seed, message)

    def verify(self, signature: bytes, message: bytes) -> None:
        verify_bytes(self._public, message, signature)


class _Verifier(HTTPMessageVerifier):
    """The library's, without its clock."""

    def validate_created_and_expires(self, *_: object, **__: object) -> None:
        """Leave it to `verify_request`, which is given the time."""
