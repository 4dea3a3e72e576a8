"""The day's list, and what modalities say they performed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "expected_exam",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("scheduled_procedure_step_id", sa.String(length=64), nullable=False),
        sa.Column("accession_number", sa.String(), nullable=False),
        sa.Column("patient_id", sa.String(), nullable=False),
        sa.Column("issuer_of_patient_id", sa.String(), nullable=False),
        sa.Column("station_ae_title", sa.String(), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "scheduled_procedure_step_id"),
    )
    op.create_index(op.f("ix_expected_exam_scheduled_at"), "expected_exam", ["scheduled_at"], unique=False)
    op.create_table(
        "performed_step",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("station_ae_title", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("images", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("signalled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid"),
    )
    op.create_index(op.f("ix_performed_step_state_signalled"), "performed_step", ["state", "signalled"], unique=False)
    op.create_index(
        op.f("ix_performed_step_study_instance_uid"), "performed_step", ["study_instance_uid"], unique=False
    )
