"""Refusals counted by the database: what keeps exams from being read, over all that is kept."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Subquery, case, distinct, func, select

from storage import records, schema
from storage.database import Database

_EVER = datetime(1, 1, 1, tzinfo=UTC)


class Refusals:
    """Counts over each exam's latest reading; earlier revisions and the images read do not count."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def exams(self, since: datetime | None = None) -> tuple[int, int]:
        """How many exams have an answer saved since then, and how many of those were not read."""
        latest, row = _latest(), schema.ReadingRow
        query = (
            select(func.count(), func.count(case((row.category == "NOT_READ", 1))))
            .select_from(row)
            .join(latest, (row.study_instance_uid == latest.c.study) & (row.revision == latest.c.revision))
            .where(row.saved_at >= (since or _EVER))
        )
        with self._database.transaction() as session:
            answered, unread = session.execute(query).one()
            return answered, unread

    def counts(self, since: datetime | None = None) -> list[records.RefusalCount]:
        """Each code that occurs, those that keep most exams from being read first."""
        latest, row = _latest(), schema.RefusalRow
        unread_exams = func.count(distinct(case((~row.left_out, row.study_instance_uid))))
        all_exams = func.count(distinct(row.study_instance_uid))
        query = (
            select(
                row.code,
                unread_exams,
                all_exams,
                func.count(case((row.sop_instance_uid != "", 1))),
                func.min(row.saved_at, type_=schema.UTCDateTime()),
                func.max(row.saved_at, type_=schema.UTCDateTime()),
            )
            .join(latest, (row.study_instance_uid == latest.c.study) & (row.revision == latest.c.revision))
            .where(row.saved_at >= (since or _EVER))
            .group_by(row.code)
            .order_by(unread_exams.desc(), all_exams.desc(), row.code)
        )
        with self._database.transaction() as session:
            return [
                records.RefusalCount(code=code, unread=unread, exams=exams, images=images, first=first, last=last)
                for code, unread, exams, images, first, last in session.execute(query)
            ]


def _latest() -> Subquery:
    """Each study's latest revision that has a reading."""
    row = schema.ReadingRow
    revision = func.max(row.revision).label("revision")
    return select(row.study_instance_uid.label("study"), revision).group_by(row.study_instance_uid).subquery()
