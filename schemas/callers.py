"""Who calls, and how one becomes a caller (PROTOCOL.md §5)."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from schemas.base import Identifier, Key32, Message, Signature64

CODE_PATTERN = r"^[A-Za-z0-9_-]{43}$"

MemberId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""The opaque id of one bearer, given with its invitation."""


class Role(StrEnum):
    """What a caller may do: look up and report; and also decide and invite."""

    MEMBER = "member"
    MODERATOR = "moderator"


class Caller(BaseModel):
    """A recognised caller. Only for use within the service: it never travels."""

    model_config = ConfigDict(frozen=True)

    member: str
    collective: str
    role: Role
    """What she may do now: a moderator who is still pending, or was ended, is a member."""
    moderator: str | None = None
    """Her id in the identity, where `role` is moderator."""
    bearer: SecretStr
    """Needed to derive receipts and reporter tags (§6); never stored, never printed."""


class JoinKeys(Message):
    """A new moderator's public keys, and the proof that she holds `sign`."""

    sign: Key32
    box: Key32
    proof: Signature64


class JoinRequest(Message):
    """Redeems a single-use code."""

    code: SecretStr
    keys: JoinKeys | None = None


class JoinAnswer(Message):
    """The new bearer token, shown this once."""

    token: str
    role: Role
    collective: Identifier


class InvitationRequest(Message):
    """Asks for codes to hand to new members."""

    count: Annotated[int, Field(strict=True, ge=1, le=20)] = 1


class IssuedInvitation(Message):
    """A code to hand over, and the id with which its bearer can be ended later."""

    id: MemberId
    code: str


class InvitationAnswer(Message):
    """The codes, shown this once; they expire in seven days."""

    invitations: list[IssuedInvitation]
