"""Readings in the shadow of the live ones: kept, compared, and never made into a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from storage.database import Database
from storage.schema_watch import ShadowReadingRow

_EVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the live model and its shadow said of one exam. shadow: which model and calibration it was."""

    study_instance_uid: str
    revision: int
    shadow: str
    saved_at: datetime
    live_category: str
    live_band: int | None
    live_percentile: float | None
    category: str
    band: int | None
    percentile: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReading:
    """The two answers, and the shadow's whole reading as JSON (`ai.findings.Reading`)."""

    answers: Answers
    reading_json: str


class Shadows:
    """Shadow readings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, reading: ShadowReading) -> None:
        """Keep one; the same exam read again by the same shadow replaces it."""
        with self._database.transaction() as session:
            session.merge(ShadowReadingRow(**asdict(reading.answers), reading_json=reading.reading_json))

    def answers(self, since: datetime | None = None) -> Sequence[Answers]:
        """Every exam's answers since then, oldest first."""
        row = ShadowReadingRow
        columns = [getattr(row, name) for name in Answers.__dataclass_fields__]
        query = select(*columns).where(row.saved_at >= (since or _EVER)).order_by(row.saved_at, row.study_instance_uid)
        with self._database.transaction() as session:
            return [Answers(**found._mapping) for found in session.execute(query)]

    def latest(self) -> tuple[str, Mapping[str, str]]:
        """Which model and calibration read last, and its readings as JSON, by Study Instance UID; "" without any."""
        row = ShadowReadingRow
        newest = select(row.shadow).order_by(row.saved_at.desc(), row.study_instance_uid).limit(1)
        with self._database.transaction() as session:
            shadow = session.scalar(newest) or ""
            query = select(row.study_instance_uid, row.reading_json).where(row.shadow == shadow)
            found = session.execute(query.order_by(row.study_instance_uid, row.revision)).all()
            return shadow, {each.study_instance_uid: each.reading_json for each in found}
