"""Unified procedure steps, who wants to hear of them, and what is still to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "workitem",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("ours", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("manager", sa.String(length=64), server_default="", nullable=False),
        sa.Column("tell_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid"),
    )
    op.create_index(op.f("ix_workitem_manager_tell_at"), "workitem", ["manager", "tell_at"], unique=False)
    op.create_index(op.f("ix_workitem_ours_due_at"), "workitem", ["ours", "due_at"], unique=False)
    op.create_index(op.f("ix_workitem_state_changed_at"), "workitem", ["state", "changed_at"], unique=False)
    op.create_index(op.f("ix_workitem_study_instance_uid"), "workitem", ["study_instance_uid"], unique=False)
    op.create_table(
        "workitem_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ae_title", sa.String(length=16), nullable=False),
        sa.Column("over", sa.String(length=8), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("event_type", sa.Integer(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_workitem_event_ae_title_over"), "workitem_event", ["ae_title", "over"], unique=False)
    op.create_index(op.f("ix_workitem_event_over_due_at"), "workitem_event", ["over", "due_at"], unique=False)
    op.create_table(
        "workitem_subscription",
        sa.Column("ae_title", sa.String(length=16), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("deletion_lock", sa.Boolean(), nullable=False),
        sa.Column("over", sa.String(length=8), nullable=False),
        sa.Column("filter_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ae_title", "sop_instance_uid"),
    )
    op.create_index(
        op.f("ix_workitem_subscription_sop_instance_uid"), "workitem_subscription", ["sop_instance_uid"], unique=False
    )
