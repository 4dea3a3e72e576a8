"""Numbers about everything that is kept, counted by the database: for those who watch the node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from storage.database import Database
from storage.records import DeliveryState
from storage.schema import AsideRow, DeliveryRow, InstanceRow, ReadingRow, ResultObjectRow, UTCDateTime


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
