"""The first schema: instances, studies, readings, result objects, deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_UID = sa.String(64)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """From nothing to this one."""
    _received()
    _made()
    _told()
    version = op.create_table("schema_version", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(version, [{"version": 1}])


def _received() -> None:
    op.create_table(
        "instance",
        sa.Column("sop_instance_uid", _UID, primary_key=True),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("series_instance_uid", _UID, nullable=False),
        sa.Column("transfer_syntax_uid", _UID, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("to_read", sa.Boolean, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("standard_view", sa.String, nullable=False),
        *_patient(),
    )
    op.create_index("ix_instance_study_instance_uid", "instance", ["study_instance_uid"])
    op.create_table(
        "study",
        sa.Column("study_instance_uid", _UID, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("jobs", sa.Integer, nullable=False),
        sa.Column("due_at", _TIME),
        sa.Column("first_received_at", _TIME, nullable=False),
        sa.Column("last_received_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        *_patient(),
    )
    op.create_index("ix_study_state_due_at", "study", ["state", "due_at"])


def _patient() -> tuple[sa.Column[str], ...]:
    names = ("patient_id", "issuer_of_patient_id", "accession_number", "study_date")
    return tuple(sa.Column(name, sa.String, nullable=False) for name in names)


def _made() -> None:
    op.create_table(
        "reading",
        sa.Column("study_instance_uid", _UID, sa.ForeignKey("study.study_instance_uid"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("reading_json", sa.Text, nullable=False),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("previews_json", sa.Text, nullable=False),
        sa.Column("saved_at", _TIME, nullable=False),
    )
    op.create_table(
        "result_object",
        sa.Column("sop_instance_uid", _UID, primary_key=True),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("study_instance_uid", _UID, sa.ForeignKey("study.study_instance_uid"), nullable=False),
        sa.Column("series_instance_uid", _UID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("options", sa.String, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("ix_result_object_study_instance_uid_revision", "result_object", ["study_instance_uid", "revision"])
    op.create_table(
        "delivery",
        sa.Column("sop_instance_uid", _UID, sa.ForeignKey("result_object.sop_instance_uid"), primary_key=True),
        sa.Column("destination", sa.String, primary_key=True),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("delivered_at", _TIME),
    )
    columns = ["study_instance_uid", "revision", "destination"]
    op.create_index("ix_delivery_study_instance_uid_revision_destination", "delivery", columns)
    op.create_index("ix_delivery_state_due_at", "delivery", ["state", "due_at"])


def _told() -> None:
    op.create_table(
        "aside",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sop_instance_uid", _UID, nullable=False),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_aside_study_instance_uid", "aside", ["study_instance_uid"])
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_event_study_instance_uid", "event", ["study_instance_uid"])
