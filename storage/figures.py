"""Numbers about everything that is kept, counted by the database: for those who watch the node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, func, select, union_all

from storage.database import Database
from storage.records import DeliveryState
from storage.schema import AsideRow, DeliveryRow, InstanceRow, ReadingRow, ResultObjectRow, UTCDateTime
from storage.schema_traffic import ForwardRow

_NOT_THERE = tuple(each.value for each in (DeliveryState.PENDING, DeliveryState.UNCOMMITTED, DeliveryState.FAILED))


class Figures:
    """Counts and oldest moments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alive(self) -> None:
        """Ask the database anything. Raises DatabaseUnavailable."""
        with self._database.transaction() as session:
            session.execute(select(1))

    def deliveries(self) -> dict[tuple[str, str], int]:
        """(destination, state) → how many result objects."""
        row = DeliveryRow
        query = select(row.destination, row.state, func.count()).group_by(row.destination, row.state)
        with self._database.transaction() as session:
            return {(destination, state): count for destination, state, count in session.execute(query)}

    def oldest_deliveries(self) -> dict[str, datetime]:
        """Destination → when the pending result object that waits longest was made."""
        row, made = DeliveryRow, ResultObjectRow
        query = (
            select(row.destination, func.min(made.created_at, type_=UTCDateTime()))
            .join(made, made.sop_instance_uid == row.sop_instance_uid)
            .where(row.state == DeliveryState.PENDING.value)
            .group_by(row.destination)
        )
        with self._database.transaction() as session:
            return {str(destination): since for destination, since in session.execute(query)}

    def oldest_uncommitted(self) -> dict[str, datetime]:
        """Destination → when the one was sent that waits longest for its commitment."""
        row = DeliveryRow
        query = (
            select(row.destination, func.min(row.delivered_at, type_=UTCDateTime()))
            .where(row.state == DeliveryState.UNCOMMITTED.value, row.delivered_at.is_not(None))
            .group_by(row.destination)
        )
        with self._database.transaction() as session:
            return {str(destination): since for destination, since in session.execute(query) if since is not None}

    def last_errors(self) -> dict[str, str]:
        """Destination → the latest error of results and forwarded instances that it does not have."""
        erring = union_all(*(_erring(row) for row in (DeliveryRow, ForwardRow))).subquery()
        latest = func.row_number().over(partition_by=erring.c.destination, order_by=erring.c.due_at.desc())
        ranked = select(erring.c.destination, erring.c.last_error, latest.label("rank")).subquery()
        query = select(ranked.c.destination, ranked.c.last_error).where(ranked.c.rank == 1)
        with self._database.transaction() as session:
            return {str(destination): str(error) for destination, error in session.execute(query)}

    def readings(self) -> dict[str, int]:
        """Category → how many readings were saved, of every revision."""
        query = select(ReadingRow.category, func.count()).group_by(ReadingRow.category)
        with self._database.transaction() as session:
            return {str(category): count for category, count in session.execute(query)}

    def instances(self) -> tuple[int, int]:
        """How many received instances are held, and how many bytes of them."""
        query = select(func.count(), func.coalesce(func.sum(InstanceRow.size_bytes), 0)).select_from(InstanceRow)
        with self._database.transaction() as session:
            count, size = session.execute(query).one()
            return int(count), int(size)

    def asides(self) -> int:
        """How many objects were kept aside for a person."""
        with self._database.transaction() as session:
            return int(session.scalar(select(func.count()).select_from(AsideRow)) or 0)


def _erring(row: type[DeliveryRow] | type[ForwardRow]) -> Select[str, str, datetime]:
    return select(row.destination, row.last_error, row.due_at).where(row.state.in_(_NOT_THERE), row.last_error != "")
