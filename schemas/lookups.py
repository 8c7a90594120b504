"""Look-ups, private and plain (PROTOCOL.md §§3, 4), and the public description of the network."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from schemas.base import (
    Category,
    Count,
    Key32,
    Kind,
    Message,
    NetworkId,
    Ordinal,
    Severity,
    Sharing,
    Signature64,
)

MOST_ELEMENTS = 10
"""Elements of one evaluation, identifiers of one plain look-up."""


class EvaluationRequest(Message):
    """Blinded elements, which tell nothing about whom they stand for."""

    epoch: Ordinal
    elements: Annotated[list[Key32], Field(min_length=1, max_length=MOST_ELEMENTS)]


class EvaluationPart(Message):
    """One key's, or one share's, evaluation of all elements, and one proof over them."""

    share: Count
    elements: list[Key32]
    proof: Signature64


class EvaluationAnswer(Message):
    """The evaluated elements."""

    epoch: Ordinal
    parts: list[EvaluationPart]


class PlainIdentifier(Message):
    """A phone number or e-mail as typed. Its value cannot be printed."""

    kind: Kind
    value: SecretStr
    region: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = None


class LookupQuery(Message):
    """A plain question. It travels in a body, never in an address."""

    identifiers: Annotated[list[PlainIdentifier], Field(min_length=1, max_length=MOST_ELEMENTS)]


class ReportCounts(Message):
    """How many published warnings there are; each saturates at 255."""

    total: int
    danger: int
    risk: int
    nuisance: int
    recent: int


class LookupResult(Message):
    """All that may leave an instance about a reported person."""

    match: bool
    reports: ReportCounts
    collectives: int


class LookupAnswer(Message):
    """Results in the order of the question."""

    results: list[LookupResult]


class StretchingCost(Message):
    """Argon2id's cost in a network."""

    m_kib: int
    t: int
    p: int = 1


class BucketLayout(Message):
    """How the sealed list is cut."""

    bits: int
    slots: int


class LookupLimits(Message):
    """How much one member may ask for."""

    elements: int
    identifiers: int
    per_hour: int
    per_day: int


class CategoryInfo(Message):
    """A category of warnings, its usual severity, and whether it leaves an instance."""

    id: Category
    severity: Severity
    shared: Sharing


class NetworkInfo(Message):
    """`GET /v1/network`: a convenience, unsigned."""

    network: NetworkId
    epoch: Ordinal
    suite: str = "ristretto255-SHA512"
    public_key: Key32
    log_public_key: Key32
    argon2id: StretchingCost
    buckets: BucketLayout
    limits: LookupLimits
    plain_lookups: bool
    categories: list[CategoryInfo]
