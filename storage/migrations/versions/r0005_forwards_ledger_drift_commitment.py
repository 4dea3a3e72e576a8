"""Storage commitment, instances that are forwarded, the ledger, drift and shadow, fetched priors, held results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    """From the revision before to this one."""
    _commitment()
    _traffic()
    _watch()
    _priors()


def _commitment() -> None:
    op.create_table(
        "commitment_asked",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid"),
    )
    op.create_index("ix_commitment_asked_study_instance_uid", "commitment_asked", ["study_instance_uid"], unique=False)
    op.create_table(
        "commitment_request",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("references_json", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid", "calling_ae_title"),
    )
    op.create_index("ix_commitment_request_state_due_at", "commitment_request", ["state", "due_at"], unique=False)
    op.add_column("delivery", sa.Column("asks", sa.Integer(), server_default="0", nullable=False))
    op.add_column("delivery", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("delivery", sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("delivery", sa.Column("released", sa.Boolean(), server_default=sa.false(), nullable=False))


def _traffic() -> None:
    op.create_table(
        "forward",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("queued", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["sop_instance_uid"],
            ["instance.sop_instance_uid"],
        ),
        sa.PrimaryKeyConstraint("sop_instance_uid", "destination"),
    )
    op.create_index("ix_forward_state_queued", "forward", ["state", "queued"], unique=False)
    op.create_index(
        "ix_forward_study_instance_uid_destination", "forward", ["study_instance_uid", "destination"], unique=False
    )
    op.create_table(
        "transfer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_transfer_began_at", "transfer", ["began_at"], unique=False)
    op.create_table(
        "transfer_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfer.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_transfer_item_at", "transfer_item", ["at"], unique=False)
    op.create_index("ix_transfer_item_transfer_id", "transfer_item", ["transfer_id"], unique=False)


def _watch() -> None:
    op.create_table(
        "drift_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("chart", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("calibration_version", sa.String(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_drift_event_at", "drift_event", ["at"], unique=False)
    op.create_index("ix_drift_event_stratum", "drift_event", ["stratum"], unique=False)
    op.create_table(
        "drift_stream",
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=False),
        sa.Column("manufacturer_model_name", sa.Text(), nullable=False),
        sa.Column("software_versions", sa.Text(), nullable=False),
        sa.Column("exams", sa.Integer(), nullable=False),
        sa.Column("made_for", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stratum"),
    )
    op.create_table(
        "shadow_reading",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("shadow", sa.String(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live_category", sa.String(length=16), nullable=False),
        sa.Column("live_band", sa.Integer(), nullable=True),
        sa.Column("live_percentile", sa.Double(), nullable=True),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("band", sa.Integer(), nullable=True),
        sa.Column("percentile", sa.Double(), nullable=True),
        sa.Column("reading_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "revision", "shadow"),
    )
    op.create_index("ix_shadow_reading_saved_at", "shadow_reading", ["saved_at"], unique=False)


def _priors() -> None:
    op.create_table(
        "fetched_prior",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("prior_of", sa.String(length=64), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid"),
    )
