"""What others say of an exam, files of decisions taken in, and how urgent an exam is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "cohort_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "exam_facts",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("r1", sa.Integer(), nullable=True),
        sa.Column("r2", sa.Integer(), nullable=True),
        sa.Column("r1_right", sa.Integer(), nullable=True),
        sa.Column("r1_left", sa.Integer(), nullable=True),
        sa.Column("r2_right", sa.Integer(), nullable=True),
        sa.Column("r2_left", sa.Integer(), nullable=True),
        sa.Column("consensus_held", sa.Boolean(), nullable=True),
        sa.Column("recalled", sa.Boolean(), nullable=True),
        sa.Column("ai_visible", sa.Boolean(), nullable=True),
        sa.Column("outcome", sa.String(length=8), nullable=True),
        sa.Column("cancer_side", sa.String(length=1), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid"),
    )
    op.create_index("ix_exam_facts_changed_at", "exam_facts", ["changed_at"], unique=False)
    op.add_column("study", sa.Column("priority", sa.SmallInteger(), server_default="1", nullable=False))
