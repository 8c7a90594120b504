"""A moderator's keys, made and kept on her own device (PROTOCOL.md §7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Self

from nacl.bindings import crypto_scalarmult_base
from pydantic import Field, ValidationError

from api.crypto import keyfiles
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.failures import InvalidInput
from api.crypto.joining import prove_join
from api.crypto.words import key_words
from schemas.base import Key32, Message, encode_base64
from schemas.callers import JoinKeys
from schemas.canonical import Document
from schemas.documents import Signature

_SECRET = 32


class _Contents(Message):
    """What the key file holds in clear; public, and read by other programs too."""

    v: Annotated[int, Field(strict=True, ge=1, le=1)]
    sign: Key32
    box: Key32


@dataclass(frozen=True, slots=True, repr=False)
class ModeratorKeys:
    """Her two secrets, 32 bytes each: the Ed25519 seed `sign` and the X25519 secret `box`."""

    sign: bytes
    box: bytes

    @classmethod
    def generate(cls, chance: Callable[[int], bytes]) -> Self:
        """Make new keys; `chance(n)` gives n secret random bytes."""
        return cls(sign=chance(_SECRET), box=chance(_SECRET))

    @classmethod
    def unlock(cls, data: bytes, passphrase: str) -> Self:
        """Return the keys of an encrypted file.

        Raises InvalidInput `wrong-passphrase` or `malformed`, as `keyfiles.unlock` does.
        """
        try:
            contents = _Contents.model_validate_json(keyfiles.unlock(data, passphrase))
        except ValidationError:
            raise InvalidInput("malformed") from None
        return cls(sign=contents.sign, box=contents.box)

    def lock(self, passphrase: str, chance: Callable[[int], bytes]) -> bytes:
        """Return the keys as an encrypted file (`keyfiles`, Argon2id at its usual cost).

        In it stands `{"box":"<base64>","sign":"<base64>","v":1}`. `chance(n)` gives n random bytes.
        """
        # Not by `json.dumps`: base64 needs no escapes, and the order of members is a promise.
        box, seed = encode_base64(self.box), encode_base64(self.sign)
        plaintext = f'{{"box":"{box}","sign":"{seed}","v":1}}'
        return keyfiles.lock(plaintext.encode("ascii"), passphrase, chance)

    @property
    def public_sign(self) -> bytes:
        """The Ed25519 public key, which the identity lists."""
        return public_key(self.sign)

    @property
    def public_box(self) -> bytes:
        """The X25519 public key, to which accounts are sealed."""
        return crypto_scalarmult_base(self.box)

    @property
    def kid(self) -> str:
        """The key id under which box keys are sealed to her and her signatures are found."""
        return key_id(self.public_sign)

    @property
    def words(self) -> str:
        """The fingerprint of both public keys, which the operator compares before signing."""
        return key_words(self.public_sign, self.public_box)

    def prove(self, code: str) -> JoinKeys:
        """Return her public keys, and the proof with which she redeems `code` (PROTOCOL.md §5)."""
        proof = prove_join(self.sign, code, self.public_box)
        return JoinKeys(sign=self.public_sign, box=self.public_box, proof=proof)

    def signature(self, document: Document) -> Signature:
        """Return her signature over `document`."""
        payload = document.encode()
        return Signature(keyid=self.kid, sig=sign(self.sign, document.payload_type, payload))

    def __repr__(self) -> str:
        """Show nothing."""
        return "ModeratorKeys(…)"
