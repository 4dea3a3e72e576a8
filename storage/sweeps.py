"""What the last look through the files found: files that no row names, and rows whose file is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.database import Database
from storage.schema import BYTES, AsideRow, Base, InstanceRow, ReadingRow, ResultObjectRow, StudyRow

_BATCH = 200


class SweepRow(Base):
    """See `Sweep`; one row."""

    __tablename__ = "sweep"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    orphans: Mapped[int]
    orphan_bytes: Mapped[int] = mapped_column(BYTES)
    missing: Mapped[int]
    missing_studies: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """orphans: files that no row names. missing: files that a row names and that are gone; of these studies."""

    at: datetime
    orphans: int
    orphan_bytes: int
    missing: int
    missing_studies: tuple[str, ...]


class Sweeps:
    """The files that rows name, study by study, and the result of the last look."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> Sweep | None:
        """The last look's result."""
        with self._database.transaction() as session:
            row = session.get(SweepRow, 1)
            if row is None:
                return None
            studies = tuple(json.loads(row.missing_studies))
            return Sweep(
                at=row.at,
                orphans=row.orphans,
                orphan_bytes=row.orphan_bytes,
                missing=row.missing,
                missing_studies=studies,
            )

    def save(self, found: Sweep) -> None:
        """Keep a result in place of the one before."""
        studies = json.dumps(found.missing_studies)
        values = {"at": found.at, "orphans": found.orphans, "orphan_bytes": found.orphan_bytes}
        with self._database.transaction() as session:
            session.execute(delete(SweepRow))
            session.execute(insert(SweepRow).values(id=1, missing=found.missing, missing_studies=studies, **values))

    def studies(self) -> Iterator[str]:
        """Every study that has a row, by its UID."""
        after = ""
        while True:
            query = select(StudyRow.study_instance_uid).where(StudyRow.study_instance_uid > after)
            with self._database.transaction() as session:
                batch = list(session.scalars(query.order_by(StudyRow.study_instance_uid).limit(_BATCH)))
            yield from batch
            if len(batch) < _BATCH:
                return
            after = batch[-1]

    def named(self, study_instance_uid: str) -> set[str]:
        """The files of a study that a row names."""
        with self._database.transaction() as session:
            return _named(session, study_instance_uid)

    def named_asides(self) -> set[str]:
        """The files kept aside."""
        with self._database.transaction() as session:
            return set(session.scalars(select(AsideRow.path)))


def _named(session: Session, study: str) -> set[str]:
    found: set[str] = set()
    for row in (InstanceRow, ResultObjectRow):
        found |= set(session.scalars(select(row.path).where(row.study_instance_uid == study, row.path != "")))
    for text in session.scalars(select(ReadingRow.previews_json).where(ReadingRow.study_instance_uid == study)):
        found |= set(json.loads(text).values())
    return found
