"""What a list of exams tells of each, asked for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from storage import rows
from storage.database import Database
from storage.outbox import delivery_of, reading_of
from storage.records import Delivery, Event, StoredReading, Study
from storage.schema import DeliveryRow, EventRow, InstanceRow, ReadingRow, StudyRow

_AT_A_TIME = 500


@dataclass(slots=True)
class Facts:
    """Of an exam. views: its standard views as they came. reading, deliveries: of its present revision.

    deliveries, events: only where they were asked for.
    """

    reading: StoredReading | None = None
    views: list[str] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Pages:
    """Reads facts of many exams in a few queries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, studies: Sequence[Study], whole: Collection[str]) -> Iterator[tuple[Study, Facts]]:
        """Each study with its facts, in their order. whole: Study Instance UIDs with deliveries and events."""
        for first in range(0, len(studies), _AT_A_TIME):
            some = studies[first : first + _AT_A_TIME]
            found: defaultdict[str, Facts] = defaultdict(Facts)
            uids = [each.study_instance_uid for each in some]
            self._readings_and_views(uids, found)
            self._deliveries_and_events([uid for uid in uids if uid in whole], found)
            yield from ((each, found[each.study_instance_uid]) for each in some)

    def _readings_and_views(self, uids: Sequence[str], found: defaultdict[str, Facts]) -> None:
        row, image = ReadingRow, InstanceRow
        present = (StudyRow.study_instance_uid == row.study_instance_uid) & (StudyRow.revision == row.revision)
        readings = select(row).join(StudyRow, present).where(row.study_instance_uid.in_(uids))
        views = (
            select(image.study_instance_uid, image.standard_view)
            .where(image.study_instance_uid.in_(uids), image.standard_view != "")
            .order_by(image.study_instance_uid, image.received_at, image.sop_instance_uid)
        )
        with self._database.transaction() as session:
            for reading in session.scalars(readings):
                found[reading.study_instance_uid].reading = reading_of(reading)
            for study, view in session.execute(views):
                found[study].views.append(view)

    def _deliveries_and_events(self, uids: Sequence[str], found: defaultdict[str, Facts]) -> None:
        if not uids:
            return
        row, event = DeliveryRow, EventRow
        present = (StudyRow.study_instance_uid == row.study_instance_uid) & (StudyRow.revision == row.revision)
        deliveries = (
            select(row)
            .join(StudyRow, present)
            .where(row.study_instance_uid.in_(uids))
            .order_by(row.study_instance_uid, row.destination, row.kind, row.sop_instance_uid)
        )
        events = select(event).where(event.study_instance_uid.in_(uids)).order_by(event.at, event.id)
        with self._database.transaction() as session:
            for each in session.scalars(deliveries):
                found[each.study_instance_uid].deliveries.append(delivery_of(each))
            for told in session.scalars(events):
                found[told.study_instance_uid].events.append(Event(**rows.plain(told, Event)))
