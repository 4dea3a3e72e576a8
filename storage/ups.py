"""Unified Procedure Steps on disk: the items, the subscriptions, and the reports that still have to be told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.rows import plain
from storage.ups_tables import SubscriptionRow, WorkitemEventRow, WorkitemRow


class State(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether nothing of the item changes any more."""
        return self in (State.COMPLETED, State.CANCELED)


class Over(StrEnum):
    """How a subscriber is told: by N-EVENT-REPORT, or over the event channel of UPS-RS."""

    DIMSE = "dimse"
    WEB = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workitem:
    """One Unified Procedure Step.

    attributes: DICOM JSON (PS3.18 F), without the Transaction UID. transaction_uid: who holds it knows it; "" none.
    study_instance_uid: of its input, "". ours: this node performs it. due_at: when the node looks at it next.
    manager: whose worklist it is of, by the name of the peer; "" this node's. tell_at: when that one is told next.
    """

    sop_instance_uid: str
    state: State
    attributes: Mapping[str, Any]
    created_at: datetime
    changed_at: datetime
    transaction_uid: str = ""
    study_instance_uid: str = ""
    ours: bool = False
    claimed_at: datetime | None = None
    due_at: datetime | None = None
    manager: str = ""
    tell_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An AE that is told of an item, or, under a well-known UID, of all items to come.

    filter_json: DICOM JSON of the keys that these must match; "" all.
    """

    ae_title: str
    sop_instance_uid: str
    deletion_lock: bool
    over: Over
    filter_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkitemEvent:
    """A report that a subscriber has not been told yet. report: DICOM JSON of the event's information."""

    id: int
    ae_title: str
    sop_instance_uid: str
    event_type: int
    report: Mapping[str, Any]
    made_at: datetime
    attempts: int


class Workitems:
    """The items and the subscriptions to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---------------------------------------------------------------- items

    def add(self, item: Workitem, follow: Callable[[Database], None]) -> bool:
        """Keep a new item, and in the same transaction what `follow` does. False when there is one of this UID."""
        try:
            with self._database.transaction() as session:
                session.execute(insert(WorkitemRow).values(**_columns(item)))
                follow(self._database.joining(session))
        except IntegrityError:
            return False
        return True

    def item(self, sop_instance_uid: str) -> Workitem | None:
        """The item of that UID."""
        with self._database.transaction() as session:
            row = session.get(WorkitemRow, sop_instance_uid)
            return _item(row) if row is not None else None

    def locked(self, sop_instance_uid: str) -> Workitem | None:
        """The item of that UID, which nobody else changes until the transaction ends."""
        row = WorkitemRow
        with self._database.transaction() as session:
            locking = update(row).where(row.sop_instance_uid == sop_instance_uid).values(version=row.version + 1)
            if session.scalar(locking.returning(row.sop_instance_uid)) is None:
                return None
            found = session.get(row, sop_instance_uid, populate_existing=True)
            return _item(found) if found is not None else None

    def save(self, item: Workitem) -> None:
        """Write an item back."""
        row = WorkitemRow
        with self._database.transaction() as session:
            session.execute(update(row).where(row.sop_instance_uid == item.sop_instance_uid).values(_columns(item)))

    def items(
        self, *, states: Collection[State] = (), uids: Collection[str] = (), most: int | None = None
    ) -> list[Workitem]:
        """Items in any of these states and of these UIDs (none: all), oldest first; at most so many."""
        row = WorkitemRow
        query = select(row).order_by(row.created_at, row.sop_instance_uid).limit(most)
        if states:
            query = query.where(row.state.in_([str(each) for each in states]))
        if uids:
            query = query.where(row.sop_instance_uid.in_(uids))
        with self._database.transaction() as session:
            return [_item(found) for found in session.scalars(query)]

    def claim(self, now: datetime, until: datetime) -> Workitem | None:
        """An item of ours that is due, now due again at `until` only: two workers never perform one at a time."""
        row = WorkitemRow
        due = select(row).where(row.ours.is_(True), row.due_at <= now).order_by(row.due_at).limit(10)
        with self._database.transaction() as session:
            for found in session.scalars(due):
                mine = update(row).where(row.sop_instance_uid == found.sop_instance_uid, row.due_at == found.due_at)
                if session.scalar(mine.values(due_at=until).returning(row.sop_instance_uid)) is not None:
                    return _item(found)
        return None

    def look_again(self, sop_instance_uid: str, due_at: datetime) -> None:
        """When an open item of ours is looked at next."""
        row = WorkitemRow
        with self._database.transaction() as session:
            mine = update(row).where(row.sop_instance_uid == sop_instance_uid, row.ours.is_(True))
            session.execute(mine.where(row.due_at.is_not(None)).values(due_at=due_at))

    def of_manager(self, manager: str) -> list[Workitem]:
        """Items of somebody else's worklist that are open, or that it has still to be told of; oldest first."""
        row = WorkitemRow
        is_open = row.state == str(State.IN_PROGRESS)
        mine = select(row).where(row.manager == manager, is_open | row.tell_at.is_not(None)).order_by(row.created_at)
        with self._database.transaction() as session:
            return [_item(found) for found in session.scalars(mine)]

    def manager_told(self, item: Workitem) -> None:
        """The manager knows the item as it is here, unless it changed meanwhile."""
        row = WorkitemRow
        with self._database.transaction() as session:
            mine = update(row).where(row.sop_instance_uid == item.sop_instance_uid, row.tell_at == item.tell_at)
            session.execute(mine.values(tell_at=None))

    def drop(self, sop_instance_uid: str) -> None:
        """Forget an item of somebody else's worklist that this node did not get."""
        row = WorkitemRow
        with self._database.transaction() as session:
            session.execute(delete(row).where(row.sop_instance_uid == sop_instance_uid, row.ours.is_(False)))

    def counts(self) -> Counter[State]:
        """How many items are in each state."""
        query = select(WorkitemRow.state, func.count()).group_by(WorkitemRow.state)
        with self._database.transaction() as session:
            return Counter({State(state): count for state, count in session.execute(query)})

    def forget(self, before: datetime) -> int:
        """Remove final items that did not change since `before` and that nobody has locked; returns how many."""
        row, subscribed = WorkitemRow, SubscriptionRow
        locked = exists().where(subscribed.sop_instance_uid == row.sop_instance_uid, subscribed.deletion_lock.is_(True))
        final = [str(State.COMPLETED), str(State.CANCELED)]
        with self._database.transaction() as session:
            old = delete(row).where(row.state.in_(final), row.changed_at < before, ~locked)
            gone = list(session.scalars(old.returning(row.sop_instance_uid)))
            session.execute(delete(subscribed).where(subscribed.sop_instance_uid.in_(gone)))
            return len(gone)

    # ---------------------------------------------------------------- subscriptions

    def subscribe(self, subscription: Subscription) -> None:
        """Keep a subscription, in place of an earlier one of the same AE to the same item."""
        with self._database.transaction() as session:
            session.merge(SubscriptionRow(**asdict(subscription)))

    def unsubscribe(self, ae_title: str, sop_instance_uids: Collection[str] = ()) -> int:
        """Remove an AE's subscriptions to these (none: to everything); returns how many there were."""
        row = SubscriptionRow
        gone = delete(row).where(row.ae_title == ae_title)
        if sop_instance_uids:
            gone = gone.where(row.sop_instance_uid.in_(sop_instance_uids))
        with self._database.transaction() as session:
            return len(list(session.scalars(gone.returning(row.sop_instance_uid))))

    def subscriptions(self, sop_instance_uids: Collection[str]) -> list[Subscription]:
        """Whoever subscribed to any of these."""
        row = SubscriptionRow
        query = select(row).where(row.sop_instance_uid.in_(sop_instance_uids)).order_by(row.ae_title)
        with self._database.transaction() as session:
            return [_subscription(found) for found in session.scalars(query)]


class Reports:
    """What subscribers have not been told yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, to: Subscription, event_type: int, report: Mapping[str, Any], now: datetime) -> None:
        """Keep a report until the subscriber has it."""
        values = {
            "ae_title": to.ae_title,
            "over": str(to.over),
            "sop_instance_uid": to.sop_instance_uid,
            "event_type": event_type,
            "report": json.dumps(report),
            "made_at": now,
            "due_at": now,
        }
        with self._database.transaction() as session:
            session.execute(insert(WorkitemEventRow).values(**values))

    def claim(self, now: datetime, until: datetime, most: int = 50) -> list[WorkitemEvent]:
        """Reports for one AE that are due by N-EVENT-REPORT, in their order, now due again at `until` only."""
        row = WorkitemEventRow
        first = select(row.ae_title).where(row.over == str(Over.DIMSE), row.due_at <= now).order_by(row.id).limit(1)
        with self._database.transaction() as session:
            ae_title = session.scalar(first)
            if ae_title is None:
                return []
            due = (row.ae_title == ae_title) & (row.over == str(Over.DIMSE)) & (row.due_at <= now)
            ids = select(row.id).where(due).order_by(row.id).limit(most)
            mine = update(row).where(row.id.in_(ids), row.due_at <= now).values(due_at=until).returning(row)
            return sorted((_event(each) for each in session.scalars(mine)), key=lambda each: each.id)

    def waiting(self, ae_title: str, most: int = 50) -> list[WorkitemEvent]:
        """Reports for an AE that wait for its event channel, in their order."""
        row = WorkitemEventRow
        query = select(row).where(row.ae_title == ae_title, row.over == str(Over.WEB)).order_by(row.id).limit(most)
        with self._database.transaction() as session:
            return [_event(each) for each in session.scalars(query)]

    def told(self, ids: Sequence[int]) -> None:
        """The subscriber has these."""
        with self._database.transaction() as session:
            session.execute(delete(WorkitemEventRow).where(WorkitemEventRow.id.in_(ids)))

    def not_told(self, ae_title: str, due_at: datetime) -> None:
        """What waits for this AE is tried again then, all of it, so that it keeps its order."""
        row = WorkitemEventRow
        with self._database.transaction() as session:
            of_ae = update(row).where(row.ae_title == ae_title, row.over == str(Over.DIMSE))
            session.execute(of_ae.values(due_at=due_at, attempts=row.attempts + 1))

    def forget(self, before: datetime) -> int:
        """Give up reports made before then; returns how many."""
        row = WorkitemEventRow
        with self._database.transaction() as session:
            return len(list(session.scalars(delete(row).where(row.made_at < before).returning(row.id))))


def _columns(item: Workitem) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {**values, "state": str(item.state), "attributes": json.dumps(item.attributes)}


def _item(row: WorkitemRow) -> Workitem:
    values = plain(row, Workitem)
    return Workitem(**{**values, "state": State(row.state), "attributes": json.loads(row.attributes)})


def _subscription(row: SubscriptionRow) -> Subscription:
    return Subscription(**{**plain(row, Subscription), "over": Over(row.over)})


def _event(row: WorkitemEventRow) -> WorkitemEvent:
    return WorkitemEvent(**{**plain(row, WorkitemEvent), "report": json.loads(row.report)})
