"""HL7 messages that came in: how they were answered, orders, patients merged and corrected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0011"
down_revision = "r0010"


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "hl7_message",
        sa.Column("sender", sa.String(length=256), nullable=False),
        sa.Column("control_id", sa.String(length=256), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sender", "control_id"),
    )
    op.create_index(op.f("ix_hl7_message_answered_at"), "hl7_message", ["answered_at"], unique=False)
    op.create_table(
        "hl7_order",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("accession_number", sa.String(length=64), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "accession_number"),
    )
    op.create_index(op.f("ix_hl7_order_accession_number"), "hl7_order", ["accession_number"], unique=False)
    op.create_index(op.f("ix_hl7_order_said_at"), "hl7_order", ["said_at"], unique=False)
    op.create_table(
        "hl7_patient",
        sa.Column("patient_id", sa.String(length=256), nullable=False),
        sa.Column("issuer_of_patient_id", sa.String(length=256), nullable=False),
        sa.Column("merged", sa.Boolean(), nullable=False),
        sa.Column("patient_name", sa.String(), nullable=False),
        sa.Column("patient_birth_date", sa.String(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "issuer_of_patient_id"),
    )
    op.create_index(op.f("ix_hl7_patient_said_at"), "hl7_patient", ["said_at"], unique=False)
