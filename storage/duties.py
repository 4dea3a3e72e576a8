"""What is done by the clock: when each of it was done last, what it found, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Database
from storage.schema import Base


class DutyRow(Base):
    """See `Done`."""

    __tablename__ = "duty"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    done_at: Mapped[datetime | None]
    found: Mapped[int]
    last_found: Mapped[int]
    last_found_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(String(255))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """found: how many things the last round came upon. last_found: of the latest round that came upon any, then.

    done_at: None where no round has ended yet. problem: the kind of error that the round after it ended with, or "".
    """

    name: str
    done_at: datetime | None = None
    found: int = 0
    last_found: int = 0
    last_found_at: datetime | None = None
    problem: str = ""


class Duties:
    """One line for each duty, whichever worker does it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, Done]:
        """Name → how it stands."""
        with self._database.transaction() as session:
            return {row.name: _done(row) for row in session.scalars(select(DutyRow))}

    def done(self, name: str, at: datetime, found: int) -> None:
        """A round has ended well."""
        values: dict[str, object] = {"done_at": at, "found": found, "problem": ""}
        if found:
            values |= {"last_found": found, "last_found_at": at}
        self._write(name, values)

    def failed(self, name: str, problem: str) -> None:
        """A round has ended with an error of this kind."""
        self._write(name, {"problem": problem[:255]})

    def _write(self, name: str, values: dict[str, object]) -> None:
        if not self._update(name, values):
            try:
                with self._database.transaction() as session:
                    session.execute(
                        insert(DutyRow).values(**{"found": 0, "last_found": 0, "problem": ""} | values, name=name)
                    )
            except IntegrityError:  # another worker was first
                self._update(name, values)

    def _update(self, name: str, values: dict[str, object]) -> bool:
        with self._database.transaction() as session:
            done = update(DutyRow).where(DutyRow.name == name).values(**values).returning(DutyRow.name)
            return session.execute(done).first() is not None


def _done(row: DutyRow) -> Done:
    return Done(
        name=row.name,
        done_at=row.done_at,
        found=row.found,
        last_found=row.last_found,
        last_found_at=row.last_found_at,
        problem=row.problem,
    )
