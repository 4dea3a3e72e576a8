"""Who works on the database, what the last look through the files found, objects of more than 2 GB."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"

_TIME = sa.DateTime(timezone=True)
_BYTES = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "worker",
        sa.Column("slot", sa.String(255), primary_key=True),
        sa.Column("roles", sa.String, nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("process_id", sa.Integer, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("beat_at", _TIME, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )
    op.create_table(
        "sweep",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("orphans", sa.Integer, nullable=False),
        sa.Column("orphan_bytes", _BYTES, nullable=False),
        sa.Column("missing", sa.Integer, nullable=False),
        sa.Column("missing_studies", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("instance", "result_object"):
            op.alter_column(table, "size_bytes", type_=sa.BigInteger())
