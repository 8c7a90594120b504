"""A report is in the epoch of the identity in force, like all that is stored: it need not say so.

Revision: 0005
Follows: 0004
"""

import base64
import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("report") as batch_op:
        batch_op.drop_column("epoch")


def downgrade() -> None:
    default = str(_epoch(op.get_bind()))
    with op.batch_alter_table("report") as batch_op:
        batch_op.add_column(
            sa.Column("epoch", sa.Integer(), nullable=False, server_default=default)
        )
    with op.batch_alter_table("report") as batch_op:
        batch_op.alter_column("epoch", server_default=None)


def _epoch(connection: sa.Connection) -> int:
    """Return the epoch of the identity in force; 1 where there is none, and no report."""
    newest = "SELECT envelope FROM identity ORDER BY version DESC LIMIT 1"
    envelope = connection.execute(sa.text(newest)).scalar()
    if envelope is None:
        return 1
    return int(json.loads(base64.b64decode(json.loads(envelope)["payload"]))["epoch"])
