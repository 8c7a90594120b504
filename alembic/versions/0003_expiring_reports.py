"""An index of our own reports by their last day: every round asks for those that are over.

Revision: 0003
Follows: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_report_expires", "report", ["expires"])


def downgrade() -> None:
    op.drop_index("ix_report_expires", table_name="report")
