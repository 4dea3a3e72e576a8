"""Working from other managers' worklists: their items are claimed, performed as our own, and answered there.

An item is kept here from before it is claimed, with the Transaction UID of the claim: whatever happens in between, the
next look tells whether the claim was ours. The performer sees an item like any other; each change of it here is due to
be told there, and stays due until the manager has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from node import logs
from node.config import Config
from node.errors import DeliveryError
from node.keeper import Keeper
from node.roles import Leader
from node.settings import Peer
from node.settings_ups import CodeSettings
from node.ups import offered, outputs, states, worklist
from node.ups.attributes import Attributes, items, made, tag, value
from storage.database import Database
from storage.objects import is_valid_uid
from storage.ups import State, Workitem, Workitems

log = logs.get(__name__)

_PAUSE_S = 10.0  # after a manager could not be reached
_TOLD = ("UnifiedProcedureStepPerformedProcedureSequence", "ProcedureStepProgressInformationSequence")
_DONE = (states.SUCCESS, states.ALREADY_CANCELED, states.ALREADY_COMPLETED)
_COERCED, _LEFT_OUT = 0xB305, 0x0001


class Manager(Protocol):
    """See `node.dimse.ups_scu.Manager`."""

    def scheduled(self, wanted: CodeSettings) -> list[Attributes]: ...

    def item(self, uid: str) -> tuple[int, Attributes]: ...

    def update(self, uid: str, given: Attributes, transaction_uid: str) -> int: ...

    def change_state(self, uid: str, state: State, transaction_uid: str) -> int: ...

    def subscribe(self, uid: str, ae_title: str) -> int: ...


#: An association with a peer, under this node's AE title.
Call = Callable[[Peer, str], AbstractContextManager[Manager]]


class Elsewhere:
    """A keeper for each manager; of several processes the one that leads asks and answers. Without any: nothing."""

    def __init__(self, config: Config, database: Database, call: Call, new_uid: Callable[[], str]) -> None:
        self._config = config
        self._items = Workitems(database)
        self._call = call
        self._new_uid = new_uid
        self._looked: dict[str, float] = {}
        managers = config.ups.managers if config.ups.performs else ()
        self._keepers = [Keeper(f"worklist of {name}", partial(self._turn, name), _PAUSE_S) for name in managers]

    def start(self, leader: Leader) -> None:
        """Begin, with what an earlier process left as well."""
        for each in self._keepers:
            each.start(leader)

    def stop(self) -> None:
        """End; what is under way is gone on with after the next start."""
        for each in self._keepers:
            each.end()
        for each in self._keepers:
            each.stop()

    def _turn(self, name: str) -> float:
        try:
            self._round(name)
        except DeliveryError as error:
            log.warning("a manager of work items cannot be asked", peer=name, why=str(error), again_s=_PAUSE_S)
            return _PAUSE_S
        return 0.0

    def _round(self, name: str) -> None:
        """Tell a manager what is due, and look for more to claim where it is time."""
        now = time.monotonic()
        held = self._items.of_manager(name)
        looking = now >= self._looked.get(name, float("-inf")) + self._config.ups.every_s
        due = [each for each in held if each.ours and each.tell_at is not None]
        if not due and not looking:
            return
        with self._call(self._config.peers[name], self._config.node.ae_title) as manager:
            for each in due:
                self._tell(manager, each)
            if looking:
                self._look(manager, name, held)
                self._looked[name] = now

    # ---------------------------------------------------------------- claims

    def _look(self, manager: Manager, name: str, held: list[Workitem]) -> None:
        for each in held:
            if not each.ours:  # a claim whose answer nobody heard
                self._claim(manager, each)
        room = self._config.ups.most_claimed - sum(not each.state.is_final for each in held)
        for found in self._offered(manager):
            uid = value(found, "SOPInstanceUID")
            if room <= 0:
                return
            item = self._wanted(uid, found, name)
            if self._items.add(item, lambda _: None):
                room -= 1
                self._claim(manager, item)

    def _offered(self, manager: Manager) -> Iterator[Attributes]:
        """Items that this node may claim and that have begun; the same one may come twice."""
        settings, ae_title = self._config.ups, self._config.node.ae_title
        for code in settings.workitem_codes:
            for found in manager.scheduled(code):
                begins = worklist.begins(found, datetime.now(UTC))
                named = {**found, **made(ScheduledWorkitemCodeSequence=offered.codes(settings))}
                mine = offered.is_ours(named, settings, ae_title) and is_valid_uid(value(found, "SOPInstanceUID"))
                if mine and begins <= datetime.now(UTC):
                    yield found

    def _wanted(self, uid: str, found: Attributes, name: str) -> Workitem:
        now = datetime.now(UTC)
        return Workitem(
            sop_instance_uid=uid,
            state=State.IN_PROGRESS,
            attributes=found,
            created_at=now,
            changed_at=now,
            transaction_uid=self._new_uid(),
            manager=name,
        )

    def _claim(self, manager: Manager, item: Workitem) -> None:
        uid, transaction_uid = item.sop_instance_uid, item.transaction_uid
        code = manager.change_state(uid, State.IN_PROGRESS, transaction_uid)
        if code != states.SUCCESS:  # perhaps our own earlier claim: only its Transaction UID lets one update the item
            code = manager.update(uid, outputs.progress(0, "claimed"), transaction_uid)
        if code not in (states.SUCCESS, _COERCED):
            log.info("work item not claimed", item=uid, peer=item.manager, status=f"0x{code:04X}")
            self._items.drop(uid)
            return
        code, attributes = manager.item(uid)
        if code not in (states.SUCCESS, _LEFT_OUT):
            log.warning("work item claimed, and not to be had", item=uid, peer=item.manager, status=f"0x{code:04X}")
            attributes = item.attributes
        self._items.save(self._begun(item, attributes))
        log.info("work item claimed", item=uid, peer=item.manager)
        heard = manager.subscribe(uid, self._config.node.ae_title)
        if heard != states.SUCCESS:
            log.warning("requests to cancel will not be heard of", item=uid, status=f"0x{heard:04X}")

    def _begun(self, item: Workitem, attributes: Attributes) -> Workitem:
        now, settings = datetime.now(UTC), self._config.ups
        begun = outputs.begun(attributes, offered.codes(settings), self._config.node.ae_title, now)
        return replace(
            item,
            attributes={**attributes, **begun},
            study_instance_uid=offered.study_of(attributes),
            ours=True,
            claimed_at=now,
            changed_at=now,
            due_at=now,
            tell_at=now,
        )

    # ---------------------------------------------------------------- answers

    def _tell(self, manager: Manager, item: Workitem) -> None:
        """How far the item is, and its end. What the manager refuses is not said again: it would refuse it again."""
        told = {tag(each): item.attributes[tag(each)] for each in _TOLD if any(items(item.attributes, each))}
        code = manager.update(item.sop_instance_uid, told, item.transaction_uid)
        if code in (states.SUCCESS, _COERCED) and item.state.is_final:
            code = manager.change_state(item.sop_instance_uid, item.state, item.transaction_uid)
        if code not in (*_DONE, _COERCED):
            log.warning("a manager refused what was done", item=item.sop_instance_uid, status=f"0x{code:04X}")
        self._items.manager_told(item)
