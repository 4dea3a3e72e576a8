"""Tables of the modality worklist and of what modalities say they performed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base

_UID = String(64)


class ExpectedRow(Base):
    """See `storage.worklist.Expected`."""

    __tablename__ = "expected_exam"
    study_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    scheduled_procedure_step_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    accession_number: Mapped[str]
    patient_id: Mapped[str]
    issuer_of_patient_id: Mapped[str]
    station_ae_title: Mapped[str]
    scheduled_at: Mapped[datetime] = mapped_column(index=True)
    urgent: Mapped[bool]
    listed_at: Mapped[datetime]


class StepRow(Base):
    """See `storage.worklist.PerformedStep`. signalled: whether the exam has been declared whole for it."""

    __tablename__ = "performed_step"
    __table_args__ = (Index(None, "state", "signalled"),)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    state: Mapped[str] = mapped_column(String(16))
    station_ae_title: Mapped[str]
    changed_at: Mapped[datetime]
    images: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    signalled: Mapped[bool]
