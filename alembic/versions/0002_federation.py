"""Federation: our log, our partners, and what came from them.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "converted",
        sa.Column("word", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("next_word", sa.BigInteger(), nullable=False),
        sa.Column("next_token", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("word", "token", name=op.f("pk_converted")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_log")),
    )
    op.create_table(
        "nonce",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_nonce")),
    )
    with op.batch_alter_table("nonce", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nonce_until"), ["until"], unique=False)

    op.create_table(
        "partner",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=253), nullable=False),
        sa.Column("feed", sa.String(length=500), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("policy", sa.String(length=8), nullable=False),
        sa.Column("reports_a_day", sa.Integer(), nullable=False),
        sa.Column("erasures_a_day", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("announced", sa.Integer(), nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.Column("refresh_at", sa.BigInteger(), nullable=False),
        sa.Column("synced_at", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("reports_today", sa.Integer(), nullable=False),
        sa.Column("erasures_today", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
        sa.UniqueConstraint("origin", name=op.f("uq_partner_origin")),
    )
    op.create_table(
        "entry",
        sa.Column("log", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.String(), nullable=True),
        sa.Column("report", sa.String(length=32), nullable=True),
        sa.Column("expires", sa.String(length=10), nullable=True),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.ForeignKeyConstraint(["log"], ["log.number"], name=op.f("fk_entry_log_log")),
        sa.PrimaryKeyConstraint("log", "seq", name=op.f("pk_entry")),
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index("ix_entry_expires", ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_entry_leaf"), ["leaf"], unique=False)
        batch_op.create_index(batch_op.f("ix_entry_report"), ["report"], unique=False)

    op.create_table(
        "evidence",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("partner", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.Column("theirs", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_evidence_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evidence")),
    )
    op.create_table(
        "foreign_entry",
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_foreign_entry_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("partner", "log", "seq", name=op.f("pk_foreign_entry")),
    )
    with op.batch_alter_table("foreign_entry", schema=None) as batch_op:
        batch_op.create_index(
            "ix_foreign_entry_elided",
            ["partner", "log"],
            unique=False,
            sqlite_where=sa.text("outcome = 'elided'"),
            postgresql_where=sa.text("outcome = 'elided'"),
        )
        batch_op.create_index("ix_foreign_entry_leaf", ["leaf", "partner", "outcome"], unique=False)

    op.create_table(
        "foreign_report",
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("expires", sa.String(length=10), nullable=False),
        sa.Column("signers", sa.String(length=2700), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("over_quota", sa.Boolean(), nullable=False),
        sa.Column("erasing", sa.Boolean(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_foreign_report_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("partner", "log", "seq", name=op.f("pk_foreign_report")),
    )
    with op.batch_alter_table("foreign_report", schema=None) as batch_op:
        batch_op.create_index(
            "ix_foreign_report_collective", ["partner", "collective"], unique=False
        )
        batch_op.create_index("ix_foreign_report_expires", ["expires"], unique=False)

    op.create_table(
        "partner_identity",
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_partner_identity_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("partner", "version", name=op.f("pk_partner_identity")),
    )
    op.create_table(
        "partner_key",
        sa.Column("kid", sa.String(length=44), nullable=False),
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_partner_key_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kid", "partner", name=op.f("pk_partner_key")),
    )
    op.create_table(
        "policy",
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("collective", sa.String(length=40), nullable=False),
        sa.Column("policy", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"], ["partner.id"], name=op.f("fk_policy_partner_partner"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("partner", "collective", name=op.f("pk_policy")),
    )
    op.create_table(
        "foreign_identifier",
        sa.Column("partner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("word", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"],
            ["partner.id"],
            name=op.f("fk_foreign_identifier_partner_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "partner", "log", "seq", "position", name=op.f("pk_foreign_identifier")
        ),
    )
    with op.batch_alter_table("foreign_identifier", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_foreign_identifier_word"), ["word"], unique=False)

    with op.batch_alter_table("collective", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("opted_in", sa.String(length=200), server_default="", nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("collective", schema=None) as batch_op:
        batch_op.drop_column("opted_in")

    with op.batch_alter_table("foreign_identifier", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_foreign_identifier_word"))

    op.drop_table("foreign_identifier")
    op.drop_table("policy")
    op.drop_table("partner_key")
    op.drop_table("partner_identity")
    with op.batch_alter_table("foreign_report", schema=None) as batch_op:
        batch_op.drop_index("ix_foreign_report_expires")
        batch_op.drop_index("ix_foreign_report_collective")

    op.drop_table("foreign_report")
    with op.batch_alter_table("foreign_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_foreign_entry_leaf")
        batch_op.drop_index(
            "ix_foreign_entry_elided",
            sqlite_where=sa.text("outcome = 'elided'"),
            postgresql_where=sa.text("outcome = 'elided'"),
        )

    op.drop_table("foreign_entry")
    op.drop_table("evidence")
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_entry_report"))
        batch_op.drop_index(batch_op.f("ix_entry_leaf"))
        batch_op.drop_index("ix_entry_expires")

    op.drop_table("entry")
    op.drop_table("partner")
    with op.batch_alter_table("nonce", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_nonce_until"))

    op.drop_table("nonce")
    op.drop_table("log")
    op.drop_table("converted")
