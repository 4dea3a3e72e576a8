"""Who hears of which work items (PS3.4 CC.2.3), and what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from node import logs, query
from node.query import Matching
from node.ups import attributes, events, faults
from node.ups.events import Event
from storage.database import Database
from storage.ups import Over, Reports, Subscription, Workitem, Workitems

log = logs.get(__name__)

WORKLIST, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"


class Subscribers:
    """Within somebody's transaction: a report is kept together with what it tells of, or not at all."""

    def __init__(self, joined: Database) -> None:
        self._items = Workitems(joined)
        self._reports = Reports(joined)

    def announce(self, item: Workitem) -> None:
        """A new item: whoever subscribed to the worklist is subscribed to it."""
        for each in self._items.subscriptions((WORKLIST, FILTERED)):
            if _fits(each, item):
                self.add(each, item)
        if events.is_assigned(item.attributes):
            self.tell(item.sop_instance_uid, [events.assigned(item)])

    def add(self, to: Subscription, item: Workitem) -> None:
        """Subscribe to one item; the subscriber hears where it stands."""
        single = replace(to, sop_instance_uid=item.sop_instance_uid, filter_json="")
        self._items.subscribe(single)
        self._reports.add(single, *events.state_report(item), datetime.now(UTC))

    def tell(self, uid: str, found: Iterable[Event]) -> int:
        """Report to everybody who is subscribed to the item; returns how many they are."""
        subscribers = self._items.subscriptions((uid,))
        for event in found:
            for each in subscribers:
                self._reports.add(each, *event, datetime.now(UTC))
        return len(subscribers)


class Subscribing:
    """The requests to hear, or not to hear. Each raises WorkitemRefused with the status to answer."""

    def __init__(self, database: Database, known: Callable[[str], bool]) -> None:
        """known: whether an AE can be told by N-EVENT-REPORT."""
        self._database = database
        self._known = known

    def subscribe(self, to: Subscription) -> None:
        """Tell an AE of an item from now on; under a well-known UID, of all there are and all to come."""
        if to.over is Over.DIMSE and not self._known(to.ae_title):
            raise faults.UnknownReceiver(f"ReceivingAE: {to.ae_title} is not among this node's peers")
        if to.sop_instance_uid == FILTERED and not to.filter_json:
            raise faults.MissingAttribute("a filtered subscription needs matching keys")
        if to.filter_json:
            query.check(list(attributes.keys(json.loads(to.filter_json))), Matching())
        with self._database.transaction() as session:
            joined = self._database.joining(session)
            if to.sop_instance_uid in (WORKLIST, FILTERED):
                self._to_all(joined, to)
                return
            item = Workitems(joined).locked(to.sop_instance_uid)
            if item is None:
                raise faults.NoSuchWorkitem("there is no work item of this UID")
            Subscribers(joined).add(to, item)
        log.info("subscribed to work items", ae_title=to.ae_title, item=to.sop_instance_uid, lock=to.deletion_lock)

    @staticmethod
    def _to_all(joined: Database, to: Subscription) -> None:
        items = Workitems(joined)
        items.subscribe(to)
        for item in items.items():
            if _fits(to, item):
                Subscribers(joined).add(to, item)

    def unsubscribe(self, uid: str, ae_title: str) -> None:
        """Tell an AE of an item no more; under a well-known UID, of nothing. Its locks go."""
        items, everything = Workitems(self._database), uid in (WORKLIST, FILTERED)
        if not everything and items.item(uid) is None:
            raise faults.NoSuchWorkitem("there is no work item of this UID")
        if not items.unsubscribe(ae_title, () if everything else (uid,)):
            raise faults.UnknownReceiver("the AE has no such subscription")

    def suspend(self, uid: str, ae_title: str) -> None:
        """Tell an AE of no further items; of those that it is told of now, it still is."""
        if uid not in (WORKLIST, FILTERED):
            raise faults.NotAppropriate("only a subscription to the worklist can be suspended")
        if not Workitems(self._database).unsubscribe(ae_title, (WORKLIST, FILTERED)):
            raise faults.UnknownReceiver("the AE is not subscribed to the worklist")


def _fits(subscription: Subscription, item: Workitem) -> bool:
    if not subscription.filter_json:
        return True
    keys = list(attributes.keys(json.loads(subscription.filter_json)))
    return query.matches(keys, item.attributes, Matching())
