"""Tables of what passes through: what came with each association, and what is on its way to other systems."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import SETTLED_FORWARDS, Base, open_index

_UID = String(64)


class ForwardRow(Base):
    """A received instance on its way to a destination, as `storage.records.Delivery` has it.

    queued: a job sends the pending ones of this study to this destination, or waits to.
    """

    __tablename__ = "forward"
    __table_args__ = (
        Index(None, "study_instance_uid", "destination"),
        open_index("forward", SETTLED_FORWARDS, "state", "destination", "created_at"),
    )
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


class TransferRow(Base):
    """See `storage.ledger.Transfer`."""

    __tablename__ = "transfer"
    id: Mapped[int] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(String(16))
    name: Mapped[str]
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    address: Mapped[str]
    began_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    ending: Mapped[str]


class TransferItemRow(Base):
    """See `storage.ledger.Item`."""

    __tablename__ = "transfer_item"
    id: Mapped[int] = mapped_column(primary_key=True)
    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfer.id"), index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    sop_instance_uid: Mapped[str] = mapped_column(_UID)
    study_instance_uid: Mapped[str] = mapped_column(_UID)
    outcome: Mapped[str] = mapped_column(String(16))
    status: Mapped[int]
    why: Mapped[str] = mapped_column(Text)
