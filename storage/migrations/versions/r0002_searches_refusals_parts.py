"""What searches find, refusals to count, earlier exams by patient, result kinds of several objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"

_UID = sa.String(64)
_TIME = sa.DateTime(timezone=True)
_SORTED = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """From the revision before to this one.

    What searches find is in the images' headers, which no step can read: the node fills it in when it runs.
    """
    op.create_index(
        "ix_study_patient_id_issuer_of_patient_id_study_date",
        "study",
        ["patient_id", "issuer_of_patient_id", "study_date"],
    )
    op.add_column("result_object", sa.Column("part", sa.String, nullable=False, server_default=""))
    _refusals()
    _found()
    # read by the software of the first schema only, which refuses every other number
    op.execute("UPDATE schema_version SET version = 2")


def _refusals() -> None:
    table = op.create_table(
        "refusal",
        sa.Column("study_instance_uid", _UID, sa.ForeignKey("study.study_instance_uid"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("sop_instance_uid", _UID, primary_key=True),
        sa.Column("code", sa.String(32), primary_key=True),
        sa.Column("left_out", sa.Boolean, nullable=False),
        sa.Column("saved_at", _TIME, nullable=False),
    )
    op.create_index("ix_refusal_saved_at", "refusal", ["saved_at"])
    columns = ("study_instance_uid", "revision", "reading_json", "saved_at")
    reading = sa.table("reading", *(sa.column(name, _TIME if name == "saved_at" else None) for name in columns))
    for row in list(op.get_bind().execute(sa.select(reading)).mappings()):
        op.bulk_insert(table, list(_refusals_of(row)))


def _refusals_of(row: Any) -> Iterator[dict[str, Any]]:
    """The refusals of one reading, each once; a reason of the exam goes before the same as a left-out image's."""
    told = json.loads(row["reading_json"])
    given: set[tuple[str, str]] = set()
    for left_out, name in ((False, "reasons"), (True, "left_out")):
        for reason in told.get(name, ()):
            key = (reason["code"], reason.get("sop_instance_uid", ""))
            if key not in given:
                given.add(key)
                yield {
                    "study_instance_uid": row["study_instance_uid"],
                    "revision": row["revision"],
                    "sop_instance_uid": key[1],
                    "code": key[0],
                    "left_out": left_out,
                    "saved_at": row["saved_at"],
                }


def _found() -> None:
    op.create_table(
        "found_study",
        sa.Column("study_instance_uid", _UID, primary_key=True),
        sa.Column("patient_id", _SORTED, nullable=False),
        sa.Column("patient_name", _SORTED, nullable=False),
        sa.Column("accession_number", _SORTED, nullable=False),
        sa.Column("study_date", _SORTED, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
    )
    for name in ("patient_id", "patient_name", "accession_number"):
        op.create_index(f"ix_found_study_{name}", "found_study", [name])
    op.create_index("ix_found_study_study_date_study_instance_uid", "found_study", ["study_date", "study_instance_uid"])
    study = sa.ForeignKey("found_study.study_instance_uid")
    op.create_table(
        "found_series",
        sa.Column("series_instance_uid", _UID, primary_key=True),
        sa.Column("study_instance_uid", _UID, study, primary_key=True),
        sa.Column("modality", _SORTED, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
    )
    op.create_index("ix_found_series_study_instance_uid", "found_series", ["study_instance_uid"])
    op.create_table(
        "found_instance",
        sa.Column("sop_instance_uid", _UID, primary_key=True),
        sa.Column("study_instance_uid", _UID, sa.ForeignKey("found_study.study_instance_uid"), nullable=False),
        sa.Column("series_instance_uid", _UID, nullable=False),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
    )
    columns = ["study_instance_uid", "series_instance_uid"]
    op.create_index("ix_found_instance_study_instance_uid_series_instance_uid", "found_instance", columns)
