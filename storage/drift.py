"""Drift as it is kept: where each stratum's charts stand, and a history of alarms that is only added to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select, update

from storage.database import Database
from storage.rows import plain
from storage.schema_watch import DriftEventRow, DriftStreamRow


class DriftAction(StrEnum):
    """RAISED by an exam; CLEARED by a person, all of the stratum's alarms at once."""

    RAISED = "RAISED"
    CLEARED = "CLEARED"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftEvent:
    """stratum: as strata are matched; name: as its images say it. detail: what was seen, in words.

    study_instance_uid: of the exam that raised it. by, reason: of the person who cleared it.
    """

    at: datetime
    action: DriftAction
    stratum: str
    name: str
    chart: str = ""
    detail: str = ""
    calibration_version: str = ""
    study_instance_uid: str = ""
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStream:
    """A stratum that exams have come from, and where its charts stand.

    exams: how many, ever. made_for: hash of what the charts were made for; state: see `ai.monitoring.stream`; both ""
    where there are no charts, or they begin anew.
    """

    stratum: str
    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    exams: int = 0
    made_for: str = ""
    state: str = ""
    changed_at: datetime


class Drift:
    """Streams and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def streams(self) -> list[KeptStream]:
        """Every stratum that exams have come from."""
        with self._database.transaction() as session:
            rows = session.scalars(select(DriftStreamRow).order_by(DriftStreamRow.stratum))
            return [KeptStream(**plain(row, KeptStream)) for row in rows]

    def stream(self, stratum: str) -> KeptStream | None:
        """One of them."""
        with self._database.transaction() as session:
            row = session.get(DriftStreamRow, stratum)
            return KeptStream(**plain(row, KeptStream)) if row is not None else None

    def keep(self, stream: KeptStream) -> None:
        """Where it stands now."""
        with self._database.transaction() as session:
            session.merge(DriftStreamRow(**asdict(stream)))

    def add(self, event: DriftEvent) -> None:
        """Add to the history. Clearing also has the stratum's charts begin anew."""
        with self._database.transaction() as session:
            session.execute(insert(DriftEventRow).values(**asdict(event)))
            if event.action is DriftAction.CLEARED:
                anew = update(DriftStreamRow).where(DriftStreamRow.stratum == event.stratum)
                session.execute(anew.values(made_for="", state=""))

    def events(self, stratum: str | None = None) -> list[DriftEvent]:
        """The history, oldest first; of one stratum or of all."""
        query = select(DriftEventRow).order_by(DriftEventRow.id)
        if stratum is not None:
            query = query.where(DriftEventRow.stratum == stratum)
        with self._database.transaction() as session:
            return [_event(row) for row in session.scalars(query)]

    def standing(self, stratum: str | None = None) -> list[DriftEvent]:
        """Alarms that nobody has cleared."""
        return list(_standing(self.events(stratum)))


def _event(row: DriftEventRow) -> DriftEvent:
    return DriftEvent(**{**plain(row, DriftEvent), "action": DriftAction(row.action)})


def _standing(events: Iterable[DriftEvent]) -> Iterator[DriftEvent]:
    found: dict[str, list[DriftEvent]] = {}
    for event in events:
        if event.action is DriftAction.RAISED:
            found.setdefault(event.stratum, []).append(event)
        else:
            found.pop(event.stratum, None)
    for alarms in found.values():
        yield from alarms
