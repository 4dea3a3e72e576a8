"""Received instances on their way to other systems, as routing rules have it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import SQLColumnExpression, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from storage.database import Database
from storage.records import Delivery, DeliveryState, Instance
from storage.schema import SETTLED_FORWARDS, UTCDateTime, is_open
from storage.schema_traffic import ForwardRow

#: Kind and revision of a forwarded instance where results have theirs.
KIND, REVISION = "instance", 0
_OPEN = is_open(ForwardRow.state, SETTLED_FORWARDS)


class Forwards:
    """One `Delivery` for each instance and destination. Those of one study and destination are sent by one job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def add(session: Session, instance: Instance, destinations: Iterable[str]) -> None:
        """Note where a new instance goes, in the transaction that indexes it."""
        rows = [
            {
                "sop_instance_uid": instance.sop_instance_uid,
                "destination": name,
                "study_instance_uid": instance.study_instance_uid,
                "queued": False,
                "state": DeliveryState.PENDING.value,
                "attempts": 0,
                "created_at": instance.received_at,
                "due_at": instance.received_at,
                "last_error": "",
            }
            for name in destinations
        ]
        if rows:
            session.execute(insert(ForwardRow), rows)

    def waiting(self) -> list[tuple[str, str]]:
        """(study, destination) with pending instances that no job was made for."""
        other = aliased(ForwardRow)
        same = (other.study_instance_uid == ForwardRow.study_instance_uid) & (
            other.destination == ForwardRow.destination
        )
        has_job = select(other).where(same, other.queued, other.state == DeliveryState.PENDING.value).exists()
        return self._pairs(~ForwardRow.queued, ~has_job)

    def queued(self) -> list[tuple[str, str]]:
        """(study, destination) with pending instances that a job ought to wait for."""
        return self._pairs(ForwardRow.queued)

    def _pairs(self, *conditions: SQLColumnExpression[bool]) -> list[tuple[str, str]]:
        query = (
            select(ForwardRow.study_instance_uid, ForwardRow.destination)
            .where(ForwardRow.state == DeliveryState.PENDING.value, _OPEN, *conditions)
            .distinct()
        )
        with self._database.transaction() as session:
            return [(study, destination) for study, destination in session.execute(query)]

    def take_up(self, study_instance_uid: str, destination: str) -> int:
        """A job is made for the pending ones, in this transaction; returns how many no job had been made for."""
        with self._database.transaction() as session:
            statement = (
                update(ForwardRow)
                .where(
                    ForwardRow.study_instance_uid == study_instance_uid,
                    ForwardRow.destination == destination,
                    ForwardRow.state == DeliveryState.PENDING.value,
                    ~ForwardRow.queued,
                )
                .values(queued=True)
                .returning(ForwardRow.sop_instance_uid)
            )
            return len(list(session.scalars(statement)))

    def deliveries(
        self,
        study_instance_uid: str | None = None,
        *,
        destination: str | None = None,
        states: Iterable[DeliveryState] = DeliveryState,
    ) -> list[Delivery]:
        """Those that match, the first received first."""
        query = (
            select(ForwardRow)
            .where(ForwardRow.state.in_([state.value for state in states]))
            .order_by(ForwardRow.created_at, ForwardRow.sop_instance_uid)
        )
        if study_instance_uid is not None:
            query = query.where(ForwardRow.study_instance_uid == study_instance_uid)
        if destination is not None:
            query = query.where(ForwardRow.destination == destination)
        with self._database.transaction() as session:
            return [_delivery(row) for row in session.scalars(query)]

    def save(self, delivery: Delivery) -> None:
        """Write back what became of one."""
        with self._database.transaction() as session:
            session.execute(
                update(ForwardRow)
                .where(
                    ForwardRow.sop_instance_uid == delivery.sop_instance_uid,
                    ForwardRow.destination == delivery.destination,
                )
                .values(
                    state=delivery.state.value,
                    attempts=delivery.attempts,
                    due_at=delivery.due_at,
                    last_status=delivery.last_status,
                    last_error=delivery.last_error,
                    delivered_at=delivery.delivered_at,
                )
            )

    def requeue(self, study_instance_uid: str, now: datetime) -> int:
        """Make a study's failed ones pending again; returns how many."""
        with self._database.transaction() as session:
            statement = (
                update(ForwardRow)
                .where(
                    ForwardRow.study_instance_uid == study_instance_uid,
                    ForwardRow.state == DeliveryState.FAILED.value,
                )
                .values(state=DeliveryState.PENDING.value, queued=False, due_at=now)
                .returning(ForwardRow.sop_instance_uid)
            )
            return len(list(session.scalars(statement)))

    def failed_studies(self) -> list[str]:
        """Studies of which something was not forwarded and is given up."""
        failed = select(ForwardRow.study_instance_uid).where(ForwardRow.state == DeliveryState.FAILED.value, _OPEN)
        with self._database.transaction() as session:
            return list(session.scalars(failed.distinct()))

    def oldest(self) -> dict[str, datetime]:
        """Destination → when the pending one that waits longest came."""
        query = (
            select(ForwardRow.destination, func.min(ForwardRow.created_at, type_=UTCDateTime()))
            .where(ForwardRow.state == DeliveryState.PENDING.value, _OPEN)
            .group_by(ForwardRow.destination)
        )
        with self._database.transaction() as session:
            return {str(destination): since for destination, since in session.execute(query)}


def _delivery(row: ForwardRow) -> Delivery:
    return Delivery(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        revision=REVISION,
        kind=KIND,
        destination=row.destination,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        last_status=row.last_status,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
    )
