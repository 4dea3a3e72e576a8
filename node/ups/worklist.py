"""The worklist that this node manages: one state machine behind DIMSE, UPS-RS and the node's own performer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydicom.valuerep import DT

from node import logs, query
from node.errors import TooBroad
from node.query import Key, Matching
from node.settings_ups import UpsSettings
from node.ups import attributes, events, faults, offered, reasons, states
from node.ups.attributes import Attributes, items, made, tag, value
from node.ups.subscribing import Subscribers
from storage.database import Database
from storage.objects import is_valid_uid
from storage.ups import State, Workitem, Workitems

log = logs.get(__name__)

_MOST_LOOKED_AT = 20_000
_REASONS = ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence")

#: Given an item and who hears of it: the item as it is to be.
Change = Callable[[Workitem, Subscribers], Workitem]


@dataclass(frozen=True, slots=True)
class Found:
    """Matches of a search, and whether there are more."""

    items: list[Workitem]
    more: bool = False


class UnifiedWorklist:
    """Every method is one transaction, durable on return; each raises WorkitemRefused with the status to answer."""

    def __init__(self, database: Database, settings: UpsSettings, ae_title: str, new_uid: Callable[[], str]) -> None:
        """ae_title: this node's."""
        self._database = database
        self._settings = settings
        self._ae_title = ae_title
        self._new_uid = new_uid

    # ---------------------------------------------------------------- items

    def create(self, uid: str, given: Attributes) -> tuple[Workitem, int]:
        """A new item ("": under a new UID), and SUCCESS or CREATED_WITH_MODIFICATIONS."""
        uid = uid or self._new_uid()
        if not is_valid_uid(uid):
            raise faults.InvalidValue("the item's SOP Instance UID is not a UID (PS3.5 9.1)")
        kept, modified = attributes.created(given, uid)
        ours, now = offered.is_ours(kept, self._settings, self._ae_title), datetime.now(UTC)
        item = Workitem(
            sop_instance_uid=uid,
            state=State.SCHEDULED,
            attributes=kept,
            created_at=now,
            changed_at=now,
            study_instance_uid=offered.study_of(kept),
            ours=ours,
            due_at=_due(kept, now) if ours else None,
        )
        if not Workitems(self._database).add(item, lambda joined: Subscribers(joined).announce(item)):
            raise faults.DuplicateWorkitem("there is a work item of this UID already")
        log.info("work item created", item=uid, ours=ours, study=item.study_instance_uid)
        return item, states.CREATED_WITH_MODIFICATIONS if modified else states.SUCCESS

    def update(self, uid: str, given: Attributes, transaction_uid: str) -> Workitem:
        """Change an item's attributes."""

        def change(item: Workitem, subscribers: Subscribers) -> Workitem:
            states.check_update(item.state, transaction_uid, item.transaction_uid)
            after = replace(item, attributes=attributes.updated(item.attributes, given, item.state))
            if item.state is State.SCHEDULED:
                after = self._rescheduled(after)
            subscribers.tell(uid, events.of_update(item, after))
            return after

        return self._changed(uid, change)

    def change_state(self, uid: str, wanted: State, transaction_uid: str, *, by_node: bool = False) -> int:
        """Claim, complete or cancel an item; the status to answer with. by_node: this node is its performer."""
        answered = states.SUCCESS

        def change(item: Workitem, subscribers: Subscribers) -> Workitem:
            nonlocal answered
            answered = states.check_change(item.state, wanted, transaction_uid, item.transaction_uid)
            if answered != states.SUCCESS:
                return item
            return _moved(subscribers, _claimed(item, transaction_uid, by_node=by_node), wanted)

        self._changed(uid, change)
        log.info("work item's state", item=uid, state=str(wanted), by_node=by_node)
        return answered

    def request_cancel(self, uid: str, request: Attributes, requesting_ae: str) -> int:
        """Somebody wants it canceled: done where nobody has claimed it or this node performs it, else passed on."""
        answered = states.SUCCESS

        def change(item: Workitem, subscribers: Subscribers) -> Workitem:
            nonlocal answered
            if item.state is State.COMPLETED:
                raise faults.AlreadyCompleted("the item is completed")
            if item.state is State.CANCELED:
                answered = states.ALREADY_CANCELED
                return item
            told = subscribers.tell(uid, [events.cancel_requested(request, requesting_ae)])
            if item.state is State.IN_PROGRESS and not item.ours:
                if not told:
                    raise faults.PerformerUnreachable("nobody is subscribed to the item, so its performer is not told")
                return item
            return self._canceled(subscribers, item, request)

        self._changed(uid, change)
        log.info("cancel of a work item requested", item=uid)
        return answered

    def cancel_elsewhere(self, uid: str, request: Attributes, requesting_ae: str) -> None:
        """The manager of an item says that somebody wants it canceled; of other items nothing is done."""
        item = Workitems(self._database).item(uid)
        if item is not None and item.manager and not item.state.is_final:
            self.request_cancel(uid, request, requesting_ae)

    def item(self, uid: str) -> Workitem:
        """The item of that UID."""
        found = Workitems(self._database).item(uid)
        if found is None:
            raise faults.NoSuchWorkitem("there is no work item of this UID")
        return found

    def search(self, keys: Sequence[Key], offset: int, limit: int) -> Found:
        """Items that match every key, oldest first. Raises BadQuery, TooBroad."""
        matching = Matching()
        query.check(keys, matching)
        wanted = {key.tag: key.values for key in keys if not key.universal}
        named = [State(each) for each in wanted.get(tag("ProcedureStepState"), ()) if each in set(State)]
        looked_at = Workitems(self._database).items(
            states=named, uids=wanted.get(tag("SOPInstanceUID"), ()), most=_MOST_LOOKED_AT + 1
        )
        if len(looked_at) > _MOST_LOOKED_AT:
            raise TooBroad("more work items than can be looked at: name a ProcedureStepState or UIDs")
        found = [each for each in looked_at if query.matches(keys, each.attributes, matching)]
        return Found(found[offset : offset + limit], len(found) > offset + limit)

    def look_again(self, uid: str, due_at: datetime) -> None:
        """When the performer looks at an item next."""
        Workitems(self._database).look_again(uid, due_at)

    # ---------------------------------------------------------------- within a transaction

    def _changed(self, uid: str, change: Change) -> Workitem:
        with self._database.transaction() as session:
            joined = self._database.joining(session)
            before = Workitems(joined).locked(uid)
            if before is None:
                raise faults.NoSuchWorkitem("there is no work item of this UID")
            after = change(before, Subscribers(joined))
            if after is not before:
                now = datetime.now(UTC)
                after = replace(after, changed_at=now, tell_at=now if after.manager else None)
                Workitems(joined).save(after)
            return after

    def _rescheduled(self, item: Workitem) -> Workitem:
        """Whose an item is follows from what it says, as long as nobody has claimed it."""
        ours = offered.is_ours(item.attributes, self._settings, self._ae_title)
        due_at = _due(item.attributes, datetime.now(UTC)) if ours else None
        return replace(item, ours=ours, due_at=due_at, study_instance_uid=offered.study_of(item.attributes))

    def _canceled(self, subscribers: Subscribers, item: Workitem, request: Attributes) -> Workitem:
        """Canceled by this node, by way of IN PROGRESS as PS3.4 CC.2.2.3 asks."""
        if item.state is State.SCHEDULED:
            item = _moved(subscribers, _claimed(item, self._new_uid(), by_node=True), State.IN_PROGRESS)
        asked = {at: request[at] for each in _REASONS if (at := tag(each)) in request}
        reason = made(ProcedureStepDiscontinuationReasonCodeSequence=[reasons.item(reasons.UNSPECIFIED)])
        item = replace(item, attributes=_with_cancellation(item.attributes, {**reason, **asked}))
        return _moved(subscribers, item, State.CANCELED)


def _claimed(item: Workitem, transaction_uid: str, *, by_node: bool) -> Workitem:
    if item.state is not State.SCHEDULED:
        return item
    now = datetime.now(UTC)
    due_at = now if by_node else None
    return replace(item, transaction_uid=transaction_uid, claimed_at=now, ours=by_node, due_at=due_at)


def _moved(subscribers: Subscribers, item: Workitem, wanted: State) -> Workitem:
    """The item in another state, its subscribers told."""
    if wanted is State.CANCELED:
        item = replace(item, attributes=_with_cancellation(item.attributes, {}))
    if wanted.is_final:
        attributes.check_final(item.attributes, wanted)
    told = made(ProcedureStepState=str(wanted))
    due_at = None if wanted.is_final else item.due_at
    after = replace(item, state=wanted, attributes={**item.attributes, **told}, due_at=due_at)
    subscribers.tell(item.sop_instance_uid, [events.state_report(after)])
    return after


def _with_cancellation(before: Attributes, told: Attributes) -> dict[str, Any]:
    """The item's attributes with when and why it was canceled."""
    keyword = "ProcedureStepProgressInformationSequence"
    progress = {**next(items(before, keyword), {}), **told}
    if not value(progress, "ProcedureStepCancellationDateTime"):
        progress |= made(ProcedureStepCancellationDateTime=moment(datetime.now(UTC)))
    return {**before, **made(**{keyword: [progress]})}


def moment(at: datetime) -> str:
    """As a DT, with this machine's offset from UTC."""
    return at.astimezone().strftime("%Y%m%d%H%M%S%z")


def begins(item: Attributes, now: datetime) -> datetime:
    """When an item is to begin; one whose time cannot be read, now."""
    try:
        found = DT(value(item, "ScheduledProcedureStepStartDateTime"))
    except ValueError:
        return now
    return max(now, found.astimezone(UTC)) if found is not None else now


def _due(item: Attributes, now: datetime) -> datetime | None:
    """When the node takes the item up; None while its input is not ready."""
    return begins(item, now) if value(item, "InputReadinessState") == "READY" else None
