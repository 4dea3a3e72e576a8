"""What waits longest and what went wrong last, for those who watch the node; how many there are: `storage.tallies`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, select, union_all

from storage.database import Database
from storage.records import DeliveryState
from storage.schema import (
    SETTLED_DELIVERIES,
    SETTLED_FORWARDS,
    AsideRow,
    DeliveryRow,
    ResultObjectRow,
    UTCDateTime,
    is_open,
)
from storage.schema_traffic import ForwardRow

_NOT_THERE = tuple(each.value for each in (DeliveryState.PENDING, DeliveryState.UNCOMMITTED, DeliveryState.FAILED))


class Figures:
    """Oldest moments, and last errors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alive(self) -> None:
        """Ask the database anything. Raises DatabaseUnavailable."""
        with self._database.transaction() as session:
            session.execute(select(1))

    def oldest_deliveries(self) -> dict[str, datetime]:
        """Destination → when the pending result object that waits longest was made."""
        row, made = DeliveryRow, ResultObjectRow
        query = (
            select(row.destination, func.min(made.created_at, type_=UTCDateTime()))
            .join(made, made.sop_instance_uid == row.sop_instance_uid)
            .where(row.state == DeliveryState.PENDING.value, is_open(row.state, SETTLED_DELIVERIES))
            .group_by(row.destination)
        )
        with self._database.transaction() as session:
            return {str(destination): since for destination, since in session.execute(query)}

    def oldest_uncommitted(self) -> dict[str, datetime]:
        """Destination → when the one was sent that waits longest for its commitment."""
        row = DeliveryRow
        query = (
            select(row.destination, func.min(row.delivered_at, type_=UTCDateTime()))
            .where(
                row.state == DeliveryState.UNCOMMITTED.value,
                row.delivered_at.is_not(None),
                is_open(row.state, SETTLED_DELIVERIES),
            )
            .group_by(row.destination)
        )
        with self._database.transaction() as session:
            return {str(destination): since for destination, since in session.execute(query) if since is not None}

    def last_errors(self) -> dict[str, str]:
        """Destination → the latest error of results and forwarded instances that it does not have."""
        erring = union_all(_erring(DeliveryRow, SETTLED_DELIVERIES), _erring(ForwardRow, SETTLED_FORWARDS)).subquery()
        latest = func.row_number().over(partition_by=erring.c.destination, order_by=erring.c.due_at.desc())
        ranked = select(erring.c.destination, erring.c.last_error, latest.label("rank")).subquery()
        query = select(ranked.c.destination, ranked.c.last_error).where(ranked.c.rank == 1)
        with self._database.transaction() as session:
            return {str(destination): str(error) for destination, error in session.execute(query)}

    def asides(self) -> int:
        """How many objects were kept aside for a person."""
        with self._database.transaction() as session:
            return int(session.scalar(select(func.count()).select_from(AsideRow)) or 0)


def _erring(row: type[DeliveryRow] | type[ForwardRow], settled: Sequence[str]) -> Select[str, str, datetime]:
    return select(row.destination, row.last_error, row.due_at).where(
        row.state.in_(_NOT_THERE), is_open(row.state, settled), row.last_error != ""
    )
