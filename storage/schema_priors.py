"""The table of studies that were asked for as somebody's earlier exams."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base


class FetchedPriorRow(Base):
    """A study asked for as a prior of another; what comes of it is kept and compared with, and not read as an exam."""

    __tablename__ = "fetched_prior"
    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    prior_of: Mapped[str] = mapped_column(String(64))
    peer: Mapped[str]
    asked_at: Mapped[datetime]
