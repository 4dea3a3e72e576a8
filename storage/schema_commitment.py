"""The tables of storage commitment: what others asked of us, and what we asked of others (PS3.4 J)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base

_UID = String(64)


class CommitmentRequestRow(Base):
    """See `storage.commitments.CommitmentRequest`."""

    __tablename__ = "commitment_request"
    __table_args__ = (Index(None, "state", "due_at"),)
    transaction_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16), primary_key=True)
    references_json: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    received_at: Mapped[datetime]
    due_at: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text)


class CommitmentAskedRow(Base):
    """See `storage.commitments.CommitmentAsked`."""

    __tablename__ = "commitment_asked"
    transaction_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    revision: Mapped[int]
    destination: Mapped[str]
    asked_at: Mapped[datetime]
