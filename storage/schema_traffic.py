"""Tables of what passes through: received instances on their way to other systems."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base

_UID = String(64)


class ForwardRow(Base):
    """A received instance on its way to a destination, as `storage.records.Delivery` has it.

    queued: a job sends the pending ones of this study to this destination, or waits to.
    """

    __tablename__ = "forward"
    __table_args__ = (Index(None, "study_instance_uid", "destination"), Index(None, "state", "queued"))
    sop_instance_uid: Mapped[str] = mapped_column(ForeignKey("instance.sop_instance_uid"), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID)
    queued: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    last_status: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(Text)
    delivered_at: Mapped[datetime | None]
