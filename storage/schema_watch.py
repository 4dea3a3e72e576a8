"""Tables of what is watched: drift charts and alarms, and readings that nobody is sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema import Base

_UID = String(64)


class DriftStreamRow(Base):
    """See `storage.drift.KeptStream`."""

    __tablename__ = "drift_stream"
    stratum: Mapped[str] = mapped_column(Text, primary_key=True)
    manufacturer: Mapped[str] = mapped_column(Text)
    manufacturer_model_name: Mapped[str] = mapped_column(Text)
    software_versions: Mapped[str] = mapped_column(Text)
    exams: Mapped[int]
    made_for: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]


class DriftEventRow(Base):
    """See `storage.drift.DriftEvent`. Rows are only added."""

    __tablename__ = "drift_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(16))
    stratum: Mapped[str] = mapped_column(Text, index=True)
    name: Mapped[str] = mapped_column(Text)
    chart: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    calibration_version: Mapped[str]
    study_instance_uid: Mapped[str] = mapped_column(_UID)
    by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)


class ShadowReadingRow(Base):
    """See `storage.shadows.ShadowReading`."""

    __tablename__ = "shadow_reading"
    study_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    shadow: Mapped[str] = mapped_column(primary_key=True)
    saved_at: Mapped[datetime] = mapped_column(index=True)
    live_category: Mapped[str] = mapped_column(String(16))
    live_band: Mapped[int | None]
    live_percentile: Mapped[float | None]
    category: Mapped[str] = mapped_column(String(16))
    band: Mapped[int | None]
    percentile: Mapped[float | None]
    reading_json: Mapped[str] = mapped_column(Text)
