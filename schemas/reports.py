"""Reports and what moderators do with them (PROTOCOL.md §6)."""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, model_validator

from schemas.base import (
    Base64,
    Category,
    Key32,
    KeyId,
    Kind,
    Message,
    Month,
    Nonce24,
    Ordinal,
    Rid,
    Severity,
)
from schemas.lookups import PlainIdentifier

MOST_IDENTIFIERS = 4
PADDING = 4_096
BOX_OVERHEAD = 16
MOST_READERS = 40
"""Moderators to whom one account is sealed, for the same reason as below."""
MOST_PLAINTEXT = 10 * PADDING
"""Bytes of the JSON that is sealed, so that a request with it stays below 64 KiB."""


class Status(StrEnum):
    """Where a report stands; the last seven are where it may end or rest."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PUBLISHED = "published"
    DISPUTED = "disputed"
    EXPIRED = "expired"
    RECORDED = "recorded"
    REJECTED = "rejected"
    MERGED = "merged"
    WITHDRAWN = "withdrawn"
    REMOVED = "removed"


class Warn(StrEnum):
    """How far a reporter lets her report warn others."""

    NETWORK = "network"
    LOCAL = "local"
    STATISTICS = "statistics"
    NONE = "none"


class Police(StrEnum):
    """Whether a reporter wants the police to learn of it. Parasol itself tells nobody."""

    NEVER = "never"
    ANONYMOUS = "anonymous"
    CONTACT_ME = "contact_me"


class Flag(StrEnum):
    """What a moderator should see at once."""

    WEAPON = "weapon"
    MORE_THAN_ONE_PERSON = "more_than_one_person"
    REPEAT = "repeat"
    INJURY = "injury"
    CHILDREN_PRESENT = "children_present"


class Actor(StrEnum):
    """As what the reported person appeared."""

    CLIENT = "client"
    POSING_AS_CLIENT = "posing_as_client"
    THIRD_PARTY = "third_party"
    AUTHORITY = "authority"
    UNKNOWN = "unknown"


M = TypeVar("M", bound=Message)


def _once(message: M, values: Sequence[object]) -> M:
    if len(set(values)) != len(values):
        raise ValueError("a list repeats itself")
    return message


class Consent(Message):
    """What the reporter allows."""

    warn: Warn
    police: Police
    research: Annotated[bool, Field(strict=True)]


class TokenIdentifier(Message):
    """A token of §2, with the kind of identifier that it was made from."""

    kind: Kind
    token: Key32


AREA = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def _area(given: SecretStr) -> SecretStr:
    # `pattern=` does not work on secrets.
    if not AREA.fullmatch(given.get_secret_value()):
        raise ValueError("not an ISO 3166-2 code")
    return given


class Account(Message):
    """What happened, for the moderators' eyes only. It cannot be printed."""

    text: Annotated[SecretStr, Field(max_length=20_000)] = SecretStr("")
    flags: Annotated[tuple[Flag, ...], Field(max_length=5)] = ()
    actor: Actor = Actor.UNKNOWN
    area: Annotated[SecretStr, AfterValidator(_area)] | None = None
    """ISO 3166-2."""


class SealedKey(Message):
    """The box key, sealed to one moderator's device."""

    kid: KeyId
    sealed: Annotated[bytes, Base64(80, 80)]


def _padded(box: bytes) -> bytes:
    if not box or (len(box) - BOX_OVERHEAD) % PADDING or len(box) == BOX_OVERHEAD:
        raise ValueError("not a padded box")
    return box


class SealedAccount(Message):
    """The account with the request it belongs to, in a box that only moderators can open."""

    v: Annotated[int, Field(strict=True, ge=1, le=1)]
    nonce: Nonce24
    box: Annotated[bytes, Base64(longest=MOST_PLAINTEXT + BOX_OVERHEAD), AfterValidator(_padded)]
    keys: Annotated[list[SealedKey], Field(min_length=1, max_length=MOST_READERS)]

    @classmethod
    def of(cls, nonce: bytes, box: bytes, keys: Mapping[str, bytes]) -> Self:
        """Return the message of a sealed box and its key, sealed for each key id."""
        sealed = [SealedKey(kid=kid, sealed=key) for kid, key in keys.items()]
        return cls(v=1, nonce=nonce, box=box, keys=sealed)

    @model_validator(mode="after")
    def _one_key_each(self) -> Self:
        return _once(self, [key.kid for key in self.keys])


class ReportFields(Message):
    """What a report says outside its sealed part, beside its identifiers."""

    epoch: Ordinal
    categories: Annotated[list[Category], Field(min_length=1, max_length=4)]
    severity: Severity
    month: Month
    consent: Consent
    wait_days: Annotated[int, Field(strict=True, ge=0, le=30)]
    request_id: Rid


class ReportRequest(ReportFields):
    """The `request` of a sealed plaintext: every field of a submission but `sealed`."""

    identifiers: Annotated[list[TokenIdentifier], Field(min_length=1, max_length=MOST_IDENTIFIERS)]

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        _once(self, self.categories)
        return _once(self, [identifier.token for identifier in self.identifiers])


class SealedSubmission(ReportRequest):
    """A report by a caller with cryptography: tokens, and a sealed account."""

    sealed: SealedAccount


class PlainSubmission(ReportFields):
    """A report by a caller without: the instance makes tokens, seals, and forgets."""

    identifiers: Annotated[list[PlainIdentifier], Field(min_length=1, max_length=MOST_IDENTIFIERS)]
    account: Account

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        return _once(self, self.categories)


class SealedPlaintext(Message):
    """What a moderator reads when she opens a report."""

    request: ReportRequest
    canonical: Annotated[list[SecretStr], Field(min_length=1, max_length=MOST_IDENTIFIERS)]
    account: Account

    def encode(self) -> bytes:
        """Return the JSON that is sealed: the one place where it is written in clear."""
        members = self.model_dump(mode="json", exclude={"canonical", "account"})
        account = self.account.model_dump(mode="json", exclude={"text", "area"})
        account["text"] = self.account.text.get_secret_value()
        if self.account.area is not None:
            account["area"] = self.account.area.get_secret_value()
        members |= {
            "account": account,
            "canonical": [one.get_secret_value() for one in self.canonical],
        }
        text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


class ReceiptAnswer(Message):
    """Acknowledges a report; whoever holds it can follow and withdraw the report."""

    receipt: str


class ReceiptQuery(Message):
    """Asks about, or withdraws, the report of a receipt."""

    receipt: Annotated[SecretStr, Field(max_length=64)]


class StatusAnswer(Message):
    """Where a report stands."""

    status: Status
