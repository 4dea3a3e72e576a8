"""What goes out: readings, result objects, deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, literal, select, update
from sqlalchemy.orm import Session

from storage import records, schema
from storage.catalogue import Catalogue
from storage.database import Database
from storage.records import Delivery, DeliveryState
from storage.rows import plain

#: Of a delivery that the destination has.
SENT = frozenset({DeliveryState.DELIVERED, DeliveryState.UNCOMMITTED, DeliveryState.COMMITTED})
_STOPPED = (DeliveryState.HELD.value, DeliveryState.FAILED.value)
_MOVING = (
    *("state", "attempts", "due_at", "last_status", "last_error"),
    *("delivered_at", "asks", "asked_at", "committed_at"),
)
_IS_RESULT = select(literal(1)).where(schema.ResultObjectRow.sop_instance_uid == bindparam("uid"))


class Outbox:
    """Readings and the objects made of them, each with where it has got to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether the node itself made an object with this UID."""
        with self._database.transaction() as session:
            return session.connection().execute(_IS_RESULT, {"uid": sop_instance_uid}).first() is not None

    # ---------------------------------------------------------------- readings and results

    def save_reading(self, stored: records.StoredReading, refusals: Iterable[records.Refusal] = ()) -> bool:
        """Save a reading and its refusals, once per revision. False when that revision has one already."""
        with self._database.transaction() as session:
            if session.get(schema.ReadingRow, (stored.study_instance_uid, stored.revision)) is not None:
                return False
            values = asdict(stored)
            values["previews_json"] = json.dumps(values.pop("previews"))
            session.execute(insert(schema.ReadingRow).values(**values))
            rows = [self._refusal(stored, refusal) for refusal in dict.fromkeys(refusals)]
            if rows:
                session.execute(insert(schema.RefusalRow), rows)
            return True

    @staticmethod
    def _refusal(stored: records.StoredReading, refusal: records.Refusal) -> dict[str, Any]:
        return {
            "study_instance_uid": stored.study_instance_uid,
            "revision": stored.revision,
            "saved_at": stored.saved_at,
            **asdict(refusal),
        }

    def reading(self, study_instance_uid: str, revision: int | None = None) -> records.StoredReading | None:
        """The reading of a revision, or the latest."""
        query = (
            select(schema.ReadingRow)
            .where(schema.ReadingRow.study_instance_uid == study_instance_uid)
            .order_by(schema.ReadingRow.revision.desc())
            .limit(1)
        )
        if revision is not None:
            query = query.where(schema.ReadingRow.revision == revision)
        with self._database.transaction() as session:
            row = session.scalar(query)
            return reading_of(row) if row is not None else None

    def add_results(
        self,
        results: Sequence[records.ResultObject],
        deliveries: Sequence[Delivery],
        entries: Sequence[records.Entry] = (),
    ) -> None:
        """Add result objects, their deliveries and what searches find of them; those already there stay as they are.

        Deliveries of earlier revisions that are still pending or failed are superseded.
        """
        with self._database.transaction() as session:
            for result in results:
                if session.get(schema.ResultObjectRow, result.sop_instance_uid) is None:
                    session.execute(insert(schema.ResultObjectRow).values(**asdict(result)))
            for delivery in deliveries:
                if session.get(schema.DeliveryRow, (delivery.sop_instance_uid, delivery.destination)) is None:
                    session.execute(insert(schema.DeliveryRow).values(**asdict(delivery)))
            for entry in entries:
                Catalogue(self._database.joining(session)).add(entry)
            for study, revision in {(result.study_instance_uid, result.revision) for result in results}:
                self._supersede(session, study, revision)

    @staticmethod
    def _supersede(session: Session, study_instance_uid: str, revision: int) -> None:
        session.execute(
            update(schema.DeliveryRow)
            .where(
                schema.DeliveryRow.study_instance_uid == study_instance_uid,
                schema.DeliveryRow.revision < revision,
                schema.DeliveryRow.state.in_([DeliveryState.PENDING.value, *_STOPPED]),
            )
            .values(state=DeliveryState.SUPERSEDED.value)
        )

    def results(self, study_instance_uid: str, revision: int | None = None) -> list[records.ResultObject]:
        """Result objects of a study, oldest revision first."""
        query = (
            select(schema.ResultObjectRow)
            .where(schema.ResultObjectRow.study_instance_uid == study_instance_uid)
            .order_by(
                schema.ResultObjectRow.revision,
                schema.ResultObjectRow.kind,
                schema.ResultObjectRow.options,
                schema.ResultObjectRow.part,
            )
        )
        if revision is not None:
            query = query.where(schema.ResultObjectRow.revision == revision)
        with self._database.transaction() as session:
            return [records.ResultObject(**plain(row, records.ResultObject)) for row in session.scalars(query)]

    # ---------------------------------------------------------------- deliveries

    def deliveries(
        self,
        study_instance_uid: str | None = None,
        *,
        revision: int | None = None,
        destination: str | None = None,
        states: Iterable[DeliveryState] = DeliveryState,
    ) -> list[Delivery]:
        """Deliveries that match, in a stable order."""
        row, wanted = schema.DeliveryRow, {state.value for state in states}
        query = (
            select(row)
            .where(row.state.in_(wanted))
            .order_by(row.study_instance_uid, row.revision, row.destination, row.kind, row.sop_instance_uid)
        )
        if wanted.isdisjoint(schema.SETTLED_DELIVERIES):
            query = query.where(schema.is_open(row.state, schema.SETTLED_DELIVERIES))
        if study_instance_uid is not None:
            query = query.where(row.study_instance_uid == study_instance_uid)
        if revision is not None:
            query = query.where(row.revision == revision)
        if destination is not None:
            query = query.where(row.destination == destination)
        with self._database.transaction() as session:
            return [delivery_of(found) for found in session.scalars(query)]

    def save_delivery(self, delivery: Delivery) -> None:
        """Write back what became of a pending delivery; one that was superseded meanwhile and not sent stays so."""
        row = schema.DeliveryRow
        with self._database.transaction() as session:
            statement = update(row).where(
                row.sop_instance_uid == delivery.sop_instance_uid, row.destination == delivery.destination
            )
            if delivery.state not in SENT:
                statement = statement.where(row.state != DeliveryState.SUPERSEDED.value)
            values = asdict(delivery)
            session.execute(statement.values({name: values[name] for name in _MOVING}))

    def requeue(self, study_instance_uid: str, revision: int, destination: str, now: datetime) -> int:
        """Make a revision's failed and held deliveries to a destination pending again; returns how many."""
        return self._again(study_instance_uid, revision, destination, now)

    def release(self, study_instance_uid: str, revision: int, destination: str, now: datetime) -> int:
        """Make the held ones pending, to be sent whatever the archive says of the patient; returns how many."""
        return self._again(study_instance_uid, revision, destination, now, release=True)

    def _again(
        self, study_instance_uid: str, revision: int, destination: str, now: datetime, *, release: bool = False
    ) -> int:
        row = schema.DeliveryRow
        with self._database.transaction() as session:
            found = session.scalars(
                update(row)
                .where(
                    row.study_instance_uid == study_instance_uid,
                    row.revision == revision,
                    row.destination == destination,
                    row.state.in_([DeliveryState.HELD.value] if release else _STOPPED),
                )
                .values(state=DeliveryState.PENDING.value, due_at=now, released=release)
                .returning(row.sop_instance_uid)
            )
            return len(list(found))


def reading_of(row: schema.ReadingRow) -> records.StoredReading:
    """A reading as it is kept."""
    return records.StoredReading(
        study_instance_uid=row.study_instance_uid,
        revision=row.revision,
        reading_json=row.reading_json,
        category=row.category,
        previews=json.loads(row.previews_json),
        saved_at=row.saved_at,
    )


def delivery_of(row: schema.DeliveryRow) -> Delivery:
    """A delivery as it is kept."""
    return Delivery(**{**plain(row, Delivery), "state": DeliveryState(row.state)})
