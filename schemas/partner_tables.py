"""Stored rows of what there is of partners: who they are, what their logs said, who may warn here.

Built as those of `schemas.tables` are.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, text
from sqlmodel import Field

from schemas.tables import SERIAL, Table


class PartnerRow(Table, table=True):
    """An instance whose log is followed, and how far."""

    __tablename__ = "partner"

    id: int | None = Field(default=None, primary_key=True)
    origin: str = Field(unique=True, max_length=253)
    feed: str = Field(max_length=500)
    root: bytes = Field(sa_type=LargeBinary(32))
    """The root fingerprint that the operator compared, or the one that followed it."""
    policy: str = Field(max_length=8)
    reports_a_day: int
    erasures_a_day: int
    state: str = Field(max_length=16)
    """`waiting` for its identity, `following`, `quarantined`, or `closed` by its own log."""
    code: str | None = Field(default=None, max_length=40)
    """Why the last attempt failed, or why it is quarantined."""
    version: int = 0
    """Of the newest identity that was verified; 0 before the first."""
    announced: int = 0
    """Of the identity in force where we stand in its log; 0 before the first entry."""
    log: int = 0
    size: int = Field(default=0, sa_type=BigInteger)
    frontier: bytes = Field(default=b"", sa_type=LargeBinary)
    checkpoint: str | None = None
    """The newest checkpoint that was verified, as signed."""
    failures: int = 0
    retry_at: int = Field(default=0, sa_type=BigInteger)
    refresh_at: int = Field(default=0, sa_type=BigInteger)
    """Before then its identity is not asked for again."""
    synced_at: int | None = Field(default=None, sa_type=BigInteger)
    """When its head was last reached."""
    day: str = Field(default="", max_length=10)
    """The day that the next two are counted on."""
    reports_today: int = 0
    erasures_today: int = 0


class PartnerKeyRow(Table, table=True):
    """A key with which a partner signs its requests."""

    __tablename__ = "partner_key"

    kid: str = Field(primary_key=True, max_length=44)
    partner: int = Field(
        primary_key=True,
        sa_column_args=(ForeignKey("partner.id", ondelete="CASCADE"),),
        sa_column_kwargs={"autoincrement": False},
    )
    key: bytes = Field(sa_type=LargeBinary(32))
    claimed: bool
    """Not yet in a verified identity: good for asking for ours, and for nothing else."""


class PartnerIdentityRow(Table, table=True):
    """A verified version of a partner's identity, as signed."""

    __tablename__ = "partner_identity"

    partner: int = Field(
        primary_key=True,
        sa_column_args=(ForeignKey("partner.id", ondelete="CASCADE"),),
        sa_column_kwargs={"autoincrement": False},
    )
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sha256: bytes = Field(sa_type=LargeBinary(32))
    envelope: str


class PolicyRow(Table, table=True):
    """What is done with the reports of one collective of a partner; else the partner's policy."""

    __tablename__ = "policy"

    partner: int = Field(
        primary_key=True,
        sa_column_args=(ForeignKey("partner.id", ondelete="CASCADE"),),
        sa_column_kwargs={"autoincrement": False},
    )
    collective: str = Field(primary_key=True, max_length=40)
    policy: str = Field(max_length=8)


class ForeignEntryRow(Table, table=True):
    """An entry of a partner's log, and what became of it. Its leaf hash is kept for ever.

    Like the next two it refers to its partner by a number only: whoever writes them has locked the
    partner's row, and to check it again for each would cost PostgreSQL as much as to store it.
    """

    __tablename__ = "foreign_entry"
    __table_args__ = (
        # With the outcome: one leaf may have been refused any number of times.
        Index("ix_foreign_entry_leaf", "leaf", "partner", "outcome"),
        Index(
            "ix_foreign_entry_elided", "partner", "log",
            sqlite_where=text("outcome = 'elided'"), postgresql_where=text("outcome = 'elided'"),
        ),
    )  # fmt: skip

    partner: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    log: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    leaf: bytes = Field(sa_type=LargeBinary(32))
    envelope: str | None = None
    outcome: str = Field(max_length=40)
    """`applied`, `elided` until an erasure explains it, `erased`, `purged`, `rejected:<code>`."""


class ForeignReportRow(Table, table=True):
    """A partner's report that was verified. Whether it counts is decided when it is counted."""

    __tablename__ = "foreign_report"
    __table_args__ = (
        Index("ix_foreign_report_collective", "partner", "collective"),
        Index("ix_foreign_report_expires", "expires"),
    )

    partner: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    log: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    collective: str = Field(max_length=40)
    severity: str = Field(max_length=16)
    month: str = Field(max_length=7)
    expires: str = Field(max_length=10)
    signers: str = Field(max_length=2700)
    """The ids of the moderators who signed, comma-separated."""
    needed: int
    """How many had to, at its place in the log."""
    standing: str = Field(max_length=16)
    """`standing`, `retracted`, `replaced`, or `suspended` since a signer's key was revoked."""
    over_quota: bool
    erasing: bool
    """Its erasure is held: too many came that day."""
    decision: str | None = Field(default=None, max_length=16)
    """`accepted` or `refused` by a moderator here, whatever the policy says."""


class ForeignIdentifierRow(Table, table=True):
    """One token of a partner's report, in this instance's epoch."""

    __tablename__ = "foreign_identifier"

    partner: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    log: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str = Field(max_length=8)
    token: bytes = Field(sa_type=LargeBinary(32), repr=False)
    word: int = Field(sa_type=BigInteger, index=True, repr=False)


class EvidenceRow(Table, table=True):
    """Two documents that a partner signed and that cannot both be true."""

    __tablename__ = "evidence"

    seq: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    partner: int = Field(sa_column_args=(ForeignKey("partner.id", ondelete="CASCADE"),))
    at: int = Field(sa_type=BigInteger)
    code: str = Field(max_length=40)
    ours: str
    """What we had verified before."""
    theirs: str
    """What contradicts it."""


class NonceRow(Table, table=True):
    """A partner's request that was answered, and must not be a second time."""

    __tablename__ = "nonce"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary(32))
    until: int = Field(index=True, sa_type=BigInteger)
