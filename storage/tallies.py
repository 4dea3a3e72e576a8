"""How many there are of everything, without counting them: triggers note each change, and changes are added up.

Rows are only added, so that nobody waits for another who counts too; `add_up` makes few of many. A step in
`migrations` that makes one of the counted tables anew has to make its triggers anew (see r0010).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import String, delete, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Database
from storage.records import StudyState
from storage.schema import BYTES, Base, StudyRow, UTCDateTime

_FEW = 200
_BATCH = 10_000


class TallyRow(Base):
    """So many more (or fewer) rows of a table, and bytes that they name.

    kind: the table. name: the destination, where there is one. state: the row's state, or a reading's category.
    """

    __tablename__ = "tally"
    id: Mapped[int] = mapped_column(BYTES, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    count: Mapped[int] = mapped_column(BYTES)
    size_bytes: Mapped[int] = mapped_column(BYTES)


class Tallies:
    """The counts at this moment, exact."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def studies(self) -> dict[StudyState, tuple[int, datetime]]:
        """For each state that is inhabited: how many studies, and since when the oldest is in it."""
        row = TallyRow
        since = (
            select(func.min(StudyRow.changed_at, type_=UTCDateTime()))
            .where(StudyRow.state == row.state)
            .scalar_subquery()
        )
        query = select(row.state, func.sum(row.count), since).where(row.kind == "study").group_by(row.state)
        with self._database.transaction() as session:
            return {StudyState(state): (int(count), at) for state, count, at in session.execute(query) if count}

    def deliveries(self) -> dict[tuple[str, str], int]:
        """(destination, state) → how many result objects."""
        return self._by_state("delivery")

    def forwards(self) -> dict[tuple[str, str], int]:
        """(destination, state) → how many received instances."""
        return self._by_state("forward")

    def readings(self) -> dict[str, int]:
        """Category → how many readings were saved, of every revision."""
        return {category: count for (_, category), count in self._by_state("reading").items()}

    def instances(self) -> tuple[int, int]:
        """How many received instances are held, and how many bytes of them."""
        return self._sum("instance")

    def kept_bytes(self) -> int:
        """Bytes of all instances and result objects; previews and what is kept aside are not counted."""
        return self._sum("instance", "result_object")[1]

    def _by_state(self, kind: str) -> dict[tuple[str, str], int]:
        row = TallyRow
        query = select(row.name, row.state, func.sum(row.count)).where(row.kind == kind).group_by(row.name, row.state)
        with self._database.transaction() as session:
            return {(name, state): int(count) for name, state, count in session.execute(query) if count}

    def _sum(self, *kinds: str) -> tuple[int, int]:
        query = select(func.sum(TallyRow.count), func.sum(TallyRow.size_bytes)).where(TallyRow.kind.in_(kinds))
        with self._database.transaction() as session:
            count, size = session.execute(query).one()
            return int(count or 0), int(size or 0)

    def add_up(self) -> int:
        """Make few rows of many; returns how many fewer."""
        fewer = 0
        while self._rows() > _FEW:
            less = self._add_up_some()
            fewer += less
            if less < _BATCH // 2:
                break
        return fewer

    def _rows(self) -> int:
        with self._database.transaction() as session:
            some = select(TallyRow.id).limit(_FEW + 1).subquery()
            return int(session.scalar(select(func.count()).select_from(some)) or 0)

    def _add_up_some(self) -> int:
        row = TallyRow
        first = select(row.id).order_by(row.id).limit(_BATCH)
        gone = delete(row).where(row.id.in_(first)).returning(row.kind, row.name, row.state, row.count, row.size_bytes)
        counts: Counter[tuple[str, str, str]] = Counter()
        sizes: Counter[tuple[str, str, str]] = Counter()
        removed = 0
        with self._database.transaction() as session:
            for kind, name, state, count, size in session.execute(gone):
                counts[kind, name, state] += count
                sizes[kind, name, state] += size
                removed += 1
            sums = [
                {"kind": key[0], "name": key[1], "state": key[2], "count": counts[key], "size_bytes": sizes[key]}
                for key in counts
                if counts[key] or sizes[key]
            ]
            if sums:
                session.execute(insert(row), sums)
        return removed - len(sums)
