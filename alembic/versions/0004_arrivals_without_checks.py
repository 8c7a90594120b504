"""What comes from partners refers to them unchecked: whoever writes it has locked the partner.

Revision: 0004
Follows: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("foreign_entry", "foreign_report", "foreign_identifier")


def upgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_constraint(f"fk_{table}_partner_partner", type_="foreignkey")


def downgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table) as batch_op:
            batch_op.create_foreign_key(
                f"fk_{table}_partner_partner", "partner", ["partner"], ["id"], ondelete="CASCADE"
            )
