"""Indexes for the lists of exams and the counts, among many of them."""

from __future__ import annotations

from alembic import op

revision = "r0008"
down_revision = "r0007"


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_index(op.f("ix_delivery_destination_state"), "delivery", ["destination", "state"], unique=False)
    op.create_index(op.f("ix_study_last_received_at"), "study", ["last_received_at"], unique=False)
    op.create_index(op.f("ix_study_state_changed_at"), "study", ["state", "changed_at"], unique=False)
    op.create_index(op.f("ix_study_state_last_received_at"), "study", ["state", "last_received_at"], unique=False)
