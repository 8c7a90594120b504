"""Signed documents: the DSSE envelope and its seven payloads (PROTOCOL.md §7)."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.base import (
    Base64,
    Category,
    Count,
    Day,
    Digest32,
    HostName,
    Identifier,
    Key32,
    KeyId,
    Kind,
    LogId,
    Message,
    Month,
    NetworkId,
    Ordinal,
    Rid,
    Severity,
    Signature64,
    Time,
    Url,
    encode_base64,
)
from schemas.canonical import Document, Part, ascending, distinct

IDENTITY_LIMIT = 256 * 1024


class Signature(Message):
    """One signature of an envelope; `keyid` finds a key, it proves nothing."""

    keyid: KeyId
    sig: Signature64


class Envelope(Message):
    """A DSSE v1 envelope. Not yet verified: `api.trust` says who may sign what."""

    payload: Annotated[bytes, Base64(longest=IDENTITY_LIMIT)]
    payload_type: str = Field(alias="payloadType", max_length=100)
    # Old and new root keys together, 32 each: more can't count, and each costs a verification.
    signatures: Annotated[tuple[Signature, ...], Field(min_length=1, max_length=64)]

    @classmethod
    def around(cls, document: Document, signatures: Iterable[Signature]) -> Self:
        """Return `document` in an envelope with `signatures`."""
        return cls(
            payload=document.encode(),
            payloadType=document.payload_type,
            signatures=tuple(signatures),
        )

    def text(self) -> str:
        """Return the envelope alone as JSON, as it is stored: in a third of the usual time."""
        signatures = ",".join(
            [
                f'{{"keyid":"{one.keyid}","sig":"{encode_base64(one.sig)}"}}'
                for one in self.signatures
            ]
        )
        return (
            f'{{"payload":"{encode_base64(self.payload)}",'
            f'"payloadType":{json.dumps(self.payload_type)},"signatures":[{signatures}]}}'
        )


class Status(StrEnum):
    """Where a moderator or collective stands; it only ever goes from active to another."""

    ACTIVE = "active"
    ENDED = "ended"
    REVOKED = "revoked"


class RetractReason(StrEnum):
    """Why a collective takes a report back."""

    ERROR = "error"
    DUPLICATE = "duplicate"
    DISPUTED = "disputed"
    REPORTER_REQUEST = "reporter-request"
    OBJECTION = "objection"
    LEGAL = "legal"


class EraseReason(StrEnum):
    """Why entries are deleted for good."""

    EXPIRED = "expired"
    REPORTER_REQUEST = "reporter-request"
    OBJECTION = "objection"
    LEGAL = "legal"


class Root(Part):
    """The operator's keys and how many of them must sign an identity."""

    keys: Annotated[tuple[Key32, ...], Field(max_length=32), AfterValidator(ascending)]
    threshold: Ordinal

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.threshold > len(self.keys):
            raise ValueError("a threshold that no signatures meet")
        return self


class Argon2id(Part):
    """A network's stretching cost: memory in KiB and passes."""

    m_kib: Ordinal
    t: Ordinal


class Moderator(Part):
    """A moderator's public keys: `sign` (Ed25519) and `box` (X25519)."""

    box: Key32
    id: Identifier
    sign: Key32
    status: Status


class Collective(Part):
    """A collective and its moderators, past ones too."""

    id: Identifier
    moderators: tuple[Moderator, ...]
    status: Status

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        distinct(tuple(moderator.id for moderator in self.moderators))
        return self


class Identity(Document):
    """An instance: its keys, its network and who moderates. Signed by the root keys."""

    payload_type = "application/vnd.parasol.identity.v1+json"
    limit = IDENTITY_LIMIT

    argon2id: Argon2id
    collectives: tuple[Collective, ...]
    epoch: Ordinal
    expires: Time
    feed: Url
    http_keys: Annotated[tuple[Key32, ...], Field(max_length=32), AfterValidator(ascending)]
    issued: Time
    log: LogId
    log_key: Key32
    network: NetworkId
    origin: HostName
    previous: Digest32 | None = None
    public_key: Key32
    root: Root
    version: Ordinal

    def __hash__(self) -> int:
        """Hash what tells the versions apart: an identity can be as large as a book."""
        return self.version

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _log_of(self.origin, self.log)
        distinct(tuple(collective.id for collective in self.collectives))
        moderators = [one for collective in self.collectives for one in collective.moderators]
        theirs = distinct(tuple(key for one in moderators for key in (one.sign, one.box)))
        # A key that the server holds must not speak for a moderator.
        if not {*self.root.keys, *self.http_keys, self.log_key}.isdisjoint(theirs):
            raise ValueError("a moderator's key has another use")
        return self


class ReportedIdentifier(Part):
    """A token (PROTOCOL.md §2) and the kind of identifier it was made from."""

    kind: Kind
    token: Key32


class ReportDocument(Document):
    """A published warning. Signed by moderators of the collective."""

    payload_type = "application/vnd.parasol.report.v1+json"

    categories: Annotated[
        tuple[Category, ...], Field(min_length=1, max_length=4), AfterValidator(ascending)
    ]
    collective: Identifier
    epoch: Ordinal
    expires: Day
    identifiers: Annotated[tuple[ReportedIdentifier, ...], Field(min_length=1, max_length=4)]
    issued: Day
    month: Month
    network: NetworkId
    origin: HostName
    replaces: Digest32 | None = None
    rid: Rid
    severity: Severity

    @model_validator(mode="after")
    def _counts_a_token_once(self) -> Self:
        if len(self.identifiers) > 1:
            distinct(tuple(identifier.token for identifier in self.identifiers))
        return self


class Retract(Document):
    """A report is taken back. Signed by a moderator of its collective, by two for danger."""

    payload_type = "application/vnd.parasol.retract.v1+json"

    collective: Identifier
    issued: Day
    origin: HostName
    reason: RetractReason
    rid: Rid
    target: Digest32


class Erase(Document):
    """Entries are deleted for good; their leaf hashes stay. Signed by the log key."""

    payload_type = "application/vnd.parasol.erase.v1+json"

    issued: Day
    origin: HostName
    reason: EraseReason
    rid: Rid
    targets: Annotated[
        tuple[Digest32, ...], Field(min_length=1, max_length=64), AfterValidator(distinct)
    ]


class Keys(Document):
    """A version of the identity comes into force here. Signed by the log key."""

    payload_type = "application/vnd.parasol.keys.v1+json"

    identity_sha256: Digest32
    identity_version: Ordinal
    issued: Day
    origin: HostName
    rid: Rid


class Close(Document):
    """The log ends here; `successor` is the log that goes on. Signed by the log key."""

    payload_type = "application/vnd.parasol.close.v1+json"

    issued: Day
    origin: HostName
    rid: Rid
    successor: LogId | None = None


class Checkpoint(Document):
    """The state of a log: how many entries, and their Merkle root. Signed by the log key."""

    payload_type = "application/vnd.parasol.checkpoint.v1+json"

    issued: Time
    log: LogId
    origin: HostName
    root: Digest32
    size: Count

    @model_validator(mode="after")
    def _is_of_its_origin(self) -> Self:
        _log_of(self.origin, self.log)
        return self


def _log_of(origin: str, log: str) -> None:
    if log.rpartition(":")[0] != origin:
        raise ValueError("a log of another origin")


DOCUMENTS: Mapping[str, type[Document]] = MappingProxyType(
    {
        kind.payload_type: kind
        for kind in (Identity, ReportDocument, Retract, Erase, Keys, Close, Checkpoint)
    }
)
"""The types of document by `payload_type`."""
