"""This node as Task Performer: it claims the items that ask for what it offers, and answers each with what it made.

The items stand on the exams' own pipeline and add nothing to it: an exam is read once, however many items ask for it.
Everything is in the tables, so a stop in between is gone on with by the next start; the node changes its items by the
same state machine as anybody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from node import logs
from node.config import Config
from node.errors import DeliveryError
from node.settings import Peer, PriorSource
from node.ups import offered, outputs
from node.ups.faults import WorkitemRefused
from node.ups.judging import Judge, Next, Verdict
from node.ups.outputs import Places
from node.ups.worklist import UnifiedWorklist
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.ups import State, Workitem, Workitems

log = logs.get(__name__)

_TICK_S = 0.2
_SOON_S, _SELDOM_S = 0.5, 30.0
_PATIENCE_S = 2.0

#: Has a peer send a study: its UID, the peer, how; raises DeliveryError.
Fetch = Callable[[str, Peer, PriorSource], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the performer works with. read: asks for an exam to be read, whatever state it is in."""

    config: Config
    database: Database
    worklist: UnifiedWorklist
    fetch: Fetch
    read: Callable[[str], object]
    new_uid: Callable[[], str]


class Performer:
    """Threads that look at what is due. Several processes may perform: each item is claimed for a while by one."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._settings = workshop.config.ups
        self._items = Workitems(workshop.database)
        self._index, self._outbox = Index(workshop.database), Outbox(workshop.database)
        self._judge = Judge(self._index, self._outbox, self._settings)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, with what an earlier process left as well."""
        if not self._settings.performs:
            return
        for number in range(self._settings.concurrency):
            thread = threading.Thread(target=self._live, name=f"work items {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End; what is being fetched is fetched again after the next start."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def _live(self) -> None:
        while not self._ended.wait(_TICK_S):
            try:
                while not self._ended.is_set() and self._look():
                    pass
            except Exception:
                log.exception("work items not looked at")
                self._ended.wait(_SOON_S)

    def _look(self) -> bool:
        """Look at one item that is due; False when none is."""
        now = datetime.now(UTC)
        item = self._items.claim(now, now + self._lease())
        if item is None:
            return False
        with logs.about(item=item.sop_instance_uid):
            try:
                self._perform(item)
            except WorkitemRefused as error:  # canceled, or claimed by somebody else, meanwhile
                log.info("work item left", why=str(error))
        return True

    def _lease(self) -> timedelta:
        longest = [(peer.priors or PriorSource()).timeout_s for peer in self._workshop.config.peers.values()]
        return timedelta(seconds=60 + sum(longest))

    # ---------------------------------------------------------------- one item

    def _perform(self, item: Workitem) -> None:
        worklist, uid = self._workshop.worklist, item.sop_instance_uid
        if item.state is State.SCHEDULED:
            item = self._claimed(item)
        verdict = self._judge.judged(item, datetime.now(UTC))
        if verdict.next in (Next.COMPLETE, Next.CANCEL):
            self._end(item, verdict)
            return
        if verdict.words != outputs.words_of(item.attributes):
            worklist.update(uid, outputs.progress(verdict.percent, verdict.words), item.transaction_uid)
        self._further(item, verdict)

    def _claimed(self, item: Workitem) -> Workitem:
        worklist, uid, transaction_uid = self._workshop.worklist, item.sop_instance_uid, self._workshop.new_uid()
        worklist.change_state(uid, State.IN_PROGRESS, transaction_uid, by_node=True)
        codes, ae_title = offered.codes(self._settings), self._workshop.config.node.ae_title
        return worklist.update(uid, outputs.begun(item.attributes, codes, ae_title, datetime.now(UTC)), transaction_uid)

    def _further(self, item: Workitem, verdict: Verdict) -> None:
        """Do what brings the item's exam on, and look again later."""
        study = item.study_instance_uid
        if verdict.next is Next.READ:
            self._workshop.read(study)
        elif verdict.next is Next.WHOLE:
            self._index.hasten(study, datetime.now(UTC))
        elif verdict.next is Next.FETCH:
            self._fetch(item)
        self._workshop.worklist.look_again(item.sop_instance_uid, datetime.now(UTC) + self._pause(item, verdict))

    def _pause(self, item: Workitem, verdict: Verdict) -> timedelta:
        """Young items are looked at often; what could not be had is asked for again several times before the end."""
        age_s = (datetime.now(UTC) - (item.claimed_at or item.created_at)).total_seconds()
        longest = min(_SELDOM_S, self._settings.input_wait_s / 4) if verdict.next is Next.FETCH else _SELDOM_S
        return timedelta(seconds=min(max(_SOON_S, age_s / 10), longest))

    def _end(self, item: Workitem, verdict: Verdict) -> None:
        uid, now = item.sop_instance_uid, datetime.now(UTC)
        made = []
        if verdict.revision is not None:
            study = item.study_instance_uid
            results = self._outbox.results(study, verdict.revision)
            made = outputs.outputs(results, self._outbox.deliveries(study, revision=verdict.revision), self._places())
        completed = verdict.next is Next.COMPLETE
        told = outputs.progress(100, verdict.words) if completed else outputs.reason(verdict.words, verdict.coded, now)
        update = {**outputs.ended(item.attributes, made, now), **told}
        self._workshop.worklist.update(uid, update, item.transaction_uid)
        state = State.COMPLETED if completed else State.CANCELED
        self._workshop.worklist.change_state(uid, state, item.transaction_uid, by_node=True)
        log.info("work item ended", state=str(state), why=verdict.words)

    def _places(self) -> Places:
        config = self._workshop.config
        named = {name: config.peers[each.peer].ae_title for name, each in config.destinations.items() if each.peer}
        return Places(config.node.ae_title, named, config.web.public_url or "")

    # ---------------------------------------------------------------- input that is not here

    def _fetch(self, item: Workitem) -> None:
        wanted = offered.input_of(item.attributes)
        for name, peer, source in self._sources(wanted.retrieve_ae_titles):
            try:
                self._workshop.fetch(wanted.study_instance_uid, peer, source)
                log.info("input of a work item asked for", peer=name, study=wanted.study_instance_uid)
            except DeliveryError as error:
                log.warning("input of a work item not to be had", peer=name, why=str(error))
                continue
            held = {each.sop_instance_uid for each in self._index.instances(wanted.study_instance_uid)}
            if held and wanted.sop_instance_uids <= held:
                return

    def _sources(self, named: tuple[str, ...]) -> list[tuple[str, Peer, PriorSource]]:
        """The peers that the item names, by C-MOVE where nothing else is configured; else those asked for priors."""
        peers = self._workshop.config.peers
        found = [(name, each, each.priors or PriorSource()) for name, each in peers.items() if each.ae_title in named]
        return found or [(name, each, each.priors) for name, each in peers.items() if each.priors is not None]
