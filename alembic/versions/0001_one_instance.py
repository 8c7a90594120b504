"""One instance.

Revision: 0001
Follows:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_subject"), ["subject"], unique=False)

    op.create_table(
        "bucket",
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_bucket")),
    )
    with op.batch_alter_table("bucket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bucket_generation"), ["generation"], unique=False)

    op.create_table(
        "collective",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collective")),
    )
    op.create_table(
        "identity",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_identity")),
    )
    op.create_table(
        "layout",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("edition", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layout")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "receipt",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("report", sa.String(length=32), nullable=True),
        sa.Column("body", sa.LargeBinary(length=16), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("forget_after", sa.String(length=10), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_receipt")),
        sa.UniqueConstraint("report", name=op.f("uq_receipt_report")),
    )
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_receipt_forget_after"), ["forget_after"], unique=False)

    op.create_table(
        "unsealed",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("word", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_unsealed")),
    )
    op.create_table(
        "invitation",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collective"], ["collective.id"], name=op.f("fk_invitation_collective_collective")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_invitation")),
        sa.UniqueConstraint("member", name=op.f("uq_invitation_member")),
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_collective"), ["collective"], unique=False)

    op.create_table(
        "moderator",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("sign", sa.LargeBinary(length=32), nullable=False),
        sa.Column("box", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["collective"], ["collective.id"], name=op.f("fk_moderator_collective_collective")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderator")),
        sa.UniqueConstraint("box", name=op.f("uq_moderator_box")),
        sa.UniqueConstraint("sign", name=op.f("uq_moderator_sign")),
    )
    with op.batch_alter_table("moderator", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_moderator_collective"), ["collective"], unique=False)

    op.create_table(
        "recorded",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("categories", sa.String(length=200), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=True),
        sa.Column("month", sa.String(length=7), nullable=True),
        sa.Column("expires", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["collective"], ["collective.id"], name=op.f("fk_recorded_collective_collective")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recorded")),
    )
    with op.batch_alter_table("recorded", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recorded_expires"), ["expires"], unique=False)

    op.create_table(
        "report",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("categories", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("warn", sa.String(length=16), nullable=False),
        sa.Column("police", sa.String(length=16), nullable=False),
        sa.Column("research", sa.Boolean(), nullable=False),
        sa.Column("wait_days", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("publish_at", sa.BigInteger(), nullable=True),
        sa.Column("published_severity", sa.String(length=16), nullable=True),
        sa.Column("published_month", sa.String(length=7), nullable=True),
        sa.Column("expires", sa.String(length=10), nullable=True),
        sa.Column("envelope", sa.String(), nullable=True),
        sa.Column("entry", sa.LargeBinary(length=32), nullable=True),
        sa.Column("retraction", sa.String(), nullable=True),
        sa.Column("former", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["collective"], ["collective.id"], name=op.f("fk_report_collective_collective")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_report")),
        sa.UniqueConstraint("entry", name=op.f("uq_report_entry")),
        sa.UniqueConstraint("id", name=op.f("uq_report_id")),
    )
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index("ix_report_due", ["status", "publish_at"], unique=False)
        batch_op.create_index(
            "ix_report_queue", ["collective", "status", "rank", "seq"], unique=False
        )

    op.create_table(
        "bearer",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("moderator", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["collective"], ["collective.id"], name=op.f("fk_bearer_collective_collective")
        ),
        sa.ForeignKeyConstraint(
            ["moderator"], ["moderator.id"], name=op.f("fk_bearer_moderator_moderator")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_bearer")),
        sa.UniqueConstraint("member", name=op.f("uq_bearer_member")),
    )
    with op.batch_alter_table("bearer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bearer_collective"), ["collective"], unique=False)

    op.create_table(
        "identifier",
        sa.Column("report", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("word", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report"], ["report.seq"], name=op.f("fk_identifier_report_report"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("report", "position", name=op.f("pk_identifier")),
    )
    with op.batch_alter_table("identifier", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identifier_tag"), ["tag"], unique=False)
        batch_op.create_index(batch_op.f("ix_identifier_token"), ["token"], unique=False)
        batch_op.create_index(batch_op.f("ix_identifier_word"), ["word"], unique=False)
        batch_op.create_index(
            "uq_identifier_live_tag",
            ["tag"],
            unique=True,
            sqlite_where=sa.text("live"),
            postgresql_where=sa.text("live"),
        )


def downgrade() -> None:
    with op.batch_alter_table("identifier", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_identifier_live_tag", sqlite_where=sa.text("live"), postgresql_where=sa.text("live")
        )
        batch_op.drop_index(batch_op.f("ix_identifier_word"))
        batch_op.drop_index(batch_op.f("ix_identifier_token"))
        batch_op.drop_index(batch_op.f("ix_identifier_tag"))

    op.drop_table("identifier")
    with op.batch_alter_table("bearer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bearer_collective"))

    op.drop_table("bearer")
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.drop_index("ix_report_queue")
        batch_op.drop_index("ix_report_due")

    op.drop_table("report")
    with op.batch_alter_table("recorded", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recorded_expires"))

    op.drop_table("recorded")
    with op.batch_alter_table("moderator", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_moderator_collective"))

    op.drop_table("moderator")
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invitation_collective"))

    op.drop_table("invitation")
    op.drop_table("unsealed")
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_receipt_forget_after"))

    op.drop_table("receipt")
    op.drop_table("lease")
    op.drop_table("layout")
    op.drop_table("identity")
    op.drop_table("collective")
    with op.batch_alter_table("bucket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bucket_generation"))

    op.drop_table("bucket")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_subject"))

    op.drop_table("audit")
