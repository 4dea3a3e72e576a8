"""Tables of Unified Procedure Steps, who wants to hear of them, and what is still to be told (PS3.4 CC)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base

_UID = String(64)


class WorkitemRow(Base):
    """See `storage.ups.Workitem`. version: counts the changes, and so locks the row while one is decided."""

    __tablename__ = "workitem"
    __table_args__ = (
        Index(None, "state", "changed_at"),
        Index(None, "ours", "due_at"),
        Index(None, "manager", "tell_at"),
    )
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    transaction_uid: Mapped[str] = mapped_column(_UID)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    ours: Mapped[bool]
    attributes: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    manager: Mapped[str] = mapped_column(String(64), default="", server_default="")
    tell_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=0, server_default="0")


class SubscriptionRow(Base):
    """See `storage.ups.Subscription`."""

    __tablename__ = "workitem_subscription"
    __table_args__ = (Index(None, "sop_instance_uid"),)
    ae_title: Mapped[str] = mapped_column(String(16), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    deletion_lock: Mapped[bool]
    over: Mapped[str] = mapped_column(String(8))
    filter_json: Mapped[str] = mapped_column(Text)


class WorkitemEventRow(Base):
    """See `storage.ups.WorkitemEvent`."""

    __tablename__ = "workitem_event"
    __table_args__ = (
        Index(None, "over", "due_at"),
        Index(None, "ae_title", "over"),
        {"sqlite_autoincrement": True},  # an id is never given twice: it says what was told
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    ae_title: Mapped[str] = mapped_column(String(16))
    over: Mapped[str] = mapped_column(String(8))
    sop_instance_uid: Mapped[str] = mapped_column(_UID)
    event_type: Mapped[int]
    report: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
