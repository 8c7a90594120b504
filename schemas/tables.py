"""Stored rows.

SQLModel does not validate table models, so only `api.store` builds them, from values that a
message model or the services have already checked. Times are whole seconds since the Unix epoch,
days are `YYYY-MM-DD`: both sort and compare alike on SQLite and PostgreSQL.
"""

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    text,
)
from sqlmodel import Field, SQLModel

SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the key is a plain INTEGER."""


class Table(SQLModel):
    """Base of every table, with a name for every constraint."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class CollectiveRow(Table, table=True):
    """A verified collective of this instance."""

    __tablename__ = "collective"

    id: str = Field(primary_key=True, max_length=40)
    status: str = Field(max_length=16)
    opted_in: str = Field(default="", max_length=200)
    """The categories, comma-separated, that it lets leave the instance beside the usual ones."""


class ModeratorRow(Table, table=True):
    """A moderator: an opaque id and two public keys, nothing about the person."""

    __tablename__ = "moderator"

    id: str = Field(primary_key=True, max_length=40)
    collective: str = Field(foreign_key="collective.id", index=True, max_length=40)
    sign: bytes = Field(sa_type=LargeBinary(32), unique=True)
    box: bytes = Field(sa_type=LargeBinary(32), unique=True)
    status: str = Field(max_length=16)
    """`pending` until an identity announces her; then as the identity says."""


class IdentityRow(Table, table=True):
    """Every identity this instance has issued, as signed."""

    __tablename__ = "identity"

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    envelope: str


class InvitationRow(Table, table=True):
    """An unused single-use code; redeeming it deletes the row."""

    __tablename__ = "invitation"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary(32), repr=False)
    member: str = Field(unique=True, max_length=32)
    """The id that the new bearer will have, so that whoever invited can end it."""
    collective: str = Field(foreign_key="collective.id", index=True, max_length=40)
    role: str = Field(max_length=16)
    expires: int = Field(sa_type=BigInteger)


class BearerRow(Table, table=True):
    """A bearer token, by its digest only. No name, no date, no last use."""

    __tablename__ = "bearer"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary(32), repr=False)
    member: str = Field(unique=True, max_length=32)
    collective: str = Field(foreign_key="collective.id", index=True, max_length=40)
    role: str = Field(max_length=16)
    moderator: str | None = Field(default=None, foreign_key="moderator.id", max_length=40)


class ReportRow(Table, table=True):
    """A report from its submission to its end; ended reports have no row."""

    __tablename__ = "report"
    __table_args__ = (
        Index("ix_report_queue", "collective", "status", "rank", "seq"),
        Index("ix_report_due", "status", "publish_at"),
        Index("ix_report_expires", "expires"),
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    id: str = Field(unique=True, max_length=32)
    collective: str = Field(foreign_key="collective.id", max_length=40)
    status: str = Field(max_length=16)
    categories: str = Field(max_length=200)
    """As reported, comma-separated."""
    severity: str = Field(max_length=16)
    rank: int
    """0 for danger, so that the queue is ordered by an index."""
    month: str = Field(max_length=7)
    warn: str = Field(max_length=16)
    police: str = Field(max_length=16)
    research: bool
    wait_days: int
    request_id: str = Field(max_length=32)
    sealed: str = Field(repr=False)
    """The account, sealed to the moderators' devices; this instance cannot open it."""
    submitted_at: int = Field(sa_type=BigInteger)
    """To the hour: enough for queue ages, and no log of who did what when."""
    not_before: int = Field(sa_type=BigInteger)
    """The end of the reporter's waiting days."""
    publish_at: int | None = Field(default=None, sa_type=BigInteger)
    published_severity: str | None = Field(default=None, max_length=16)
    published_month: str | None = Field(default=None, max_length=7)
    expires: str | None = Field(default=None, max_length=10)
    envelope: str | None = Field(default=None, repr=False)
    """The signed report, from its first signature on."""
    entry: bytes | None = Field(default=None, unique=True, sa_type=LargeBinary(32))
    """The entry id of `envelope` (§7)."""
    retraction: str | None = Field(default=None, repr=False)
    """The signed retraction or dispute, from its first signature on."""
    former: str | None = Field(default=None, repr=False)
    """The signed report that the next one replaces, after a dispute."""


class IdentifierRow(Table, table=True):
    """One token of a report. The identifier itself is nowhere."""

    __tablename__ = "identifier"
    __table_args__ = (
        Index(
            "uq_identifier_live_tag", "tag", unique=True,
            sqlite_where=text("live"), postgresql_where=text("live"),
        ),
    )  # fmt: skip

    report: int = Field(
        sa_type=SERIAL,
        primary_key=True,
        sa_column_args=(ForeignKey("report.seq", ondelete="CASCADE"),),
    )
    position: int = Field(primary_key=True)
    kind: str = Field(max_length=8)
    token: bytes = Field(sa_type=LargeBinary(32), index=True, repr=False)
    word: int = Field(sa_type=BigInteger, index=True, repr=False)
    """Where the token lies among the buckets, whatever their number (§3)."""
    tag: bytes = Field(sa_type=LargeBinary(16), index=True, repr=False)
    """`reporter_tag`: tells "same reporter, same number" and nothing else."""
    live: bool = False
    """Approved and not ended; of one tag only one report is (the database sees to it)."""


class ReceiptRow(Table, table=True):
    """A receipt, by an HMAC of it; it outlives the report by 90 days."""

    __tablename__ = "receipt"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary(32), repr=False)
    report: str | None = Field(default=None, unique=True, max_length=32)
    body: bytes | None = Field(default=None, sa_type=LargeBinary(16), repr=False)
    status: str | None = Field(default=None, max_length=16)
    forget_after: str | None = Field(default=None, index=True, max_length=10)


class RecordedRow(Table, table=True):
    """What a report that may not warn leaves for statistics; all null: only a count."""

    __tablename__ = "recorded"

    id: str = Field(primary_key=True, max_length=32)
    collective: str = Field(foreign_key="collective.id", max_length=40)
    categories: str | None = Field(default=None, max_length=200)
    severity: str | None = Field(default=None, max_length=16)
    month: str | None = Field(default=None, max_length=7)
    expires: str | None = Field(default=None, index=True, max_length=10)


class AuditRow(Table, table=True):
    """One change of state: who (a moderator's id, or a role), what, when; no identifiers."""

    __tablename__ = "audit"

    seq: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    at: int = Field(sa_type=BigInteger)
    collective: str = Field(max_length=40)
    subject: str = Field(index=True, max_length=40)
    actor: str = Field(max_length=40)
    before: str | None = Field(default=None, max_length=16)
    after: str = Field(max_length=16)
    reason: str | None = Field(default=None, max_length=40)


class LayoutRow(Table, table=True):
    """How the sealed list is cut into buckets; one row."""

    __tablename__ = "layout"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    edition: str = Field(max_length=32)
    """Drawn anew with every layout: buckets of two editions are never mixed."""
    epoch: int
    bits: int
    slots: int
    generation: int
    """Within an edition it rises with every sealing: a process fetches only what is new to it."""


class BucketRow(Table, table=True):
    """A sealed bucket, ready to be served."""

    __tablename__ = "bucket"

    index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    generation: int = Field(index=True)
    entries: int
    sealed: int
    """Hours since the Unix epoch."""
    day: str = Field(max_length=10)
    """The day whose counts it holds: expiry and `recent` change with the date."""
    file: bytes = Field(sa_type=LargeBinary, repr=False)


class UnsealedRow(Table, table=True):
    """A place in the list that changed since it was sealed; written with the change itself."""

    __tablename__ = "unsealed"

    seq: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    word: int = Field(sa_type=BigInteger, repr=False)


class LeaseRow(Table, table=True):
    """Which process does the timed work, and until when unless it renews."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True, max_length=40)
    holder: str = Field(max_length=32)
    until: int = Field(sa_type=BigInteger)


class LogRow(Table, table=True):
    """A log of this instance; the one of the highest number is in use."""

    __tablename__ = "log"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_type=BigInteger)
    frontier: bytes = Field(sa_type=LargeBinary)
    """The roots of the full subtrees, the largest first, 32 bytes each (RFC 6962 §2.1)."""
    state: str = Field(max_length=16)
    """`open`; `unverified` after a restore, until partners have said what they saw; `closed`."""


class EntryRow(Table, table=True):
    """An entry of our own log, and the checkpoint that it made."""

    __tablename__ = "entry"
    __table_args__ = (Index("ix_entry_expires", "expires"),)

    log: int = Field(
        primary_key=True, foreign_key="log.number", sa_column_kwargs={"autoincrement": False}
    )
    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    leaf: bytes = Field(sa_type=LargeBinary(32), index=True)
    envelope: str | None = None
    """The signed document; None once it is erased."""
    report: str | None = Field(default=None, index=True, max_length=32)
    """The id of the report that it publishes; None once it is erased, and for all else."""
    expires: str | None = Field(default=None, max_length=10)
    """The last day of a report whose envelope is here."""
    root: bytes = Field(sa_type=LargeBinary(32))
    issued: int = Field(sa_type=BigInteger)
    signature: bytes = Field(sa_type=LargeBinary(64))
    """By the log key, of the checkpoint of `seq` + 1 entries, with `root` and `issued`."""


class ConvertedRow(Table, table=True):
    """What a token becomes in the next epoch, computed ahead of the change."""

    __tablename__ = "converted"
    # In the order of their words, as they are read: a million in any other would be slow.
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: int = Field(
        primary_key=True, sa_type=BigInteger, repr=False,
        sa_column_kwargs={"autoincrement": False},
    )  # fmt: skip
    token: bytes = Field(primary_key=True, sa_type=LargeBinary(32), repr=False)
    epoch: int
    next_word: int = Field(sa_type=BigInteger, repr=False)
    next_token: bytes = Field(sa_type=LargeBinary(32), repr=False)
