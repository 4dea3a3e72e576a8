"""What was read in a stretch of time, by the database: a few values of each exam's latest reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB

from storage.database import Database
from storage.schema import DeliveryRow, ReadingRow, RefusalRow, StudyRow

_STRATUM = ("manufacturer", "manufacturer_model_name", "software_versions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadExam:
    """band: None where it was not read. stratum: "" where it is not known.

    read_s: from its last image to its reading; answered_s: to its last delivered result, None when there is none yet.
    A later image of the same exam begins its time anew.
    """

    study_instance_uid: str
    category: str
    band: int | None
    stratum: str
    read_s: float
    answered_s: float | None


class Weeks:
    """Readings of a stretch of time: from `since`, before `until`, by when they were saved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def exams(self, since: datetime, until: datetime) -> Sequence[ReadExam]:
        """The exams whose latest reading is of that time."""
        delivered = func.max(DeliveryRow.delivered_at, type_=StudyRow.changed_at.type)
        query = (
            select(
                ReadingRow.study_instance_uid,
                ReadingRow.category,
                self._value("band"),
                *(self._value("stratum", name) for name in _STRATUM),
                ReadingRow.saved_at,
                StudyRow.last_received_at,
                delivered,
            )
            .join(StudyRow, StudyRow.study_instance_uid == ReadingRow.study_instance_uid)
            .outerjoin(DeliveryRow, _same_reading(DeliveryRow))
            .where(ReadingRow.revision == StudyRow.revision, ReadingRow.saved_at >= since, ReadingRow.saved_at < until)
            .group_by(ReadingRow.study_instance_uid, ReadingRow.revision, StudyRow.last_received_at)
        )
        with self._database.transaction() as session:
            return [_exam(tuple(found)) for found in session.execute(query)]

    def not_read(self, since: datetime, until: datetime) -> dict[str, int]:
        """Reason code → exams that were not read and name it, those of most exams first."""
        query = (
            select(RefusalRow.code, RefusalRow.study_instance_uid)
            .distinct()
            .join(ReadingRow, _same_reading(RefusalRow))
            .join(StudyRow, StudyRow.study_instance_uid == ReadingRow.study_instance_uid)
            .where(ReadingRow.revision == StudyRow.revision, ReadingRow.saved_at >= since, ReadingRow.saved_at < until)
            .where(ReadingRow.category == "NOT_READ", ~RefusalRow.left_out)
        )
        with self._database.transaction() as session:
            return dict(Counter(code for code, _ in session.execute(query)).most_common())

    def _value(self, *path: str) -> ColumnElement[Any]:
        """A value within the reading's JSON, as text or number."""
        found: ColumnElement[Any] = cast(ReadingRow.reading_json, JSONB)[path].astext
        if self._database.engine.dialect.name == "sqlite":
            found = func.json_extract(ReadingRow.reading_json, "$." + ".".join(path))
        return found


def _same_reading(row: Any) -> ColumnElement[bool]:
    return and_(row.study_instance_uid == ReadingRow.study_instance_uid, row.revision == ReadingRow.revision)


def _exam(found: tuple[Any, ...]) -> ReadExam:
    study, category, band, manufacturer, model, software, saved_at, received_at, delivered_at = found
    named = (manufacturer or "", model or "", software or "")
    return ReadExam(
        study_instance_uid=study,
        category=category,
        band=int(band) if band is not None else None,
        stratum=" / ".join(named) if any(named) else "",
        read_s=(saved_at - received_at).total_seconds(),
        answered_s=(delivered_at - received_at).total_seconds() if delivered_at is not None else None,
    )
