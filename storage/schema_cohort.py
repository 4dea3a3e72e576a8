"""The tables of what others say of an exam: its readers, the consensus, and years later a registry."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base


class ExamFactsRow(Base):
    """See `storage.cohort.ExamFacts`. No foreign key: what became of a woman outlives the images' retention."""

    __tablename__ = "exam_facts"
    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    r1: Mapped[int | None]
    r2: Mapped[int | None]
    r1_right: Mapped[int | None]
    r1_left: Mapped[int | None]
    r2_right: Mapped[int | None]
    r2_left: Mapped[int | None]
    consensus_held: Mapped[bool | None]
    recalled: Mapped[bool | None]
    ai_visible: Mapped[bool | None]
    outcome: Mapped[str | None] = mapped_column(String(8))
    cancer_side: Mapped[str | None] = mapped_column(String(1))
    changed_at: Mapped[datetime] = mapped_column(index=True)


class CohortImportRow(Base):
    """See `storage.cohort.CohortImport`."""

    __tablename__ = "cohort_import"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    added: Mapped[int]
    changed: Mapped[int]
    skipped: Mapped[int]
