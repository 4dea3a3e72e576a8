"""Received instances on to other systems: one job at a time for a study and a destination, a few instances each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from node import delivery
from node.destinations import Outgoing
from node.pipeline import sending
from node.pipeline.jobs import Job
from node.pipeline.rooms import Rooms, tell
from storage.forwards import REVISION, Forwards
from storage.index import Index
from storage.objects import AlteredObject
from storage.records import Delivery, DeliveryState

#: Instances of one job; the rest follow in another, so that results for the same destination come between.
_AT_ONCE = 16


class Forwarding:
    """Runs jobs of the stage FORWARD. Whatever a destination does, the exam's reading goes on."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._index = Index(rooms.database)
        self._forwards = Forwards(rooms.database)

    def run(self, job: Job) -> None:
        """Send what is pending and due, and see to it that the rest is sent later."""
        now = datetime.now(UTC)
        pending = self._pending(job, self._forwards)
        if job.destination in self._rooms.config.destinations:
            self._send(job, [item for item in pending if item.due_at <= now][:_AT_ONCE])
        else:
            self._give_up(job, pending, f"destinations.{job.destination} is not in the config any more")
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            Index(joined).touch(job.study_instance_uid)
            forwards = Forwards(joined)
            if rest := self._pending(job, forwards):
                forwards.take_up(job.study_instance_uid, job.destination)
                delay_s = (min(item.due_at for item in rest) - datetime.now(UTC)).total_seconds()
                self._rooms.enqueue(
                    session, job.stage, job.study_instance_uid, REVISION, job.destination, delay_s=max(0.0, delay_s)
                )

    @staticmethod
    def _pending(job: Job, forwards: Forwards) -> list[Delivery]:
        return forwards.deliveries(job.study_instance_uid, destination=job.destination, states=[DeliveryState.PENDING])

    def _send(self, job: Job, due: Sequence[Delivery]) -> None:
        waiting = {item.sop_instance_uid: item for item in due}
        settings = self._rooms.config.destinations[job.destination]
        said: Counter[str] = Counter()
        objects = self._outgoing(job, waiting)
        for sent in sending.send(self._rooms, job.study_instance_uid, job.destination, objects):
            after = delivery.judged(waiting[sent.sop_instance_uid], sent, settings, datetime.now(UTC))
            self._rooms.passed("forward: sent")
            self._forwards.save(after)
            what = after.state.sentence if after.state is not DeliveryState.PENDING else "will be tried again"
            said[what + (f": {after.last_error}" if after.last_error else "")] += 1
        for what, count in said.items():
            tell(self._index, job.study_instance_uid, REVISION, "forward", f"{count} × {job.destination}: {what}")

    def _outgoing(self, job: Job, waiting: dict[str, Delivery]) -> list[Outgoing]:
        """The files that are as they came; the others are given up."""
        found: list[Outgoing] = []
        for instance in self._index.instances(job.study_instance_uid):
            item = waiting.get(instance.sop_instance_uid)
            if item is None:
                continue
            try:
                self._rooms.store.verify(instance.path, instance.sha256)
            except AlteredObject as error:
                self._give_up(job, [item], str(error))
                continue
            path = self._rooms.store.path(instance.path)
            uids = {"sop_instance_uid": instance.sop_instance_uid, "sop_class_uid": instance.sop_class_uid}
            found.append(Outgoing(**uids, path=path))
        return found

    def _give_up(self, job: Job, items: Sequence[Delivery], why: str) -> None:
        for item in items:
            self._forwards.save(replace(item, state=DeliveryState.FAILED, last_error=why))
        text = f"{len(items)} × {job.destination}: {DeliveryState.FAILED.sentence}: {why}"
        tell(self._index, job.study_instance_uid, REVISION, "forward", text)
