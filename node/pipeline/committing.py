"""The stage after delivery: ask the destination for its commitment, and take its word (PS3.4 J).

An answer may come on the association that asked, or any time later on another; both end in `Committing.answered`. What
the destination does not keep is sent again; silence is asked again, under a new Transaction UID, and an answer to an
older one still counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from node import logs
from node.commitment import DUPLICATE_TRANSACTION, Answer
from node.config import Config
from node.delivery import retry_after_s
from node.dimse import commitment
from node.dimse.commitment import Question
from node.errors import DeliveryError
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from node.pipeline.settling import settle
from node.settings import Peer
from node.settings_destinations import Destination
from storage.commitments import CommitmentAsked, Commitments, Reference
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState

log = logs.get(__name__)

_LONGEST_SILENCE_S = 86400.0
_EARLY = timedelta(seconds=1)  # an engine may run a job a little before its time


def sent(delivery: Delivery, settings: Destination) -> Delivery:
    """A delivery just made, as far as it now counts: with commitment it has arrived on the destination's word only."""
    if delivery.state is not DeliveryState.DELIVERED or not settings.commitment:
        return delivery
    return replace(delivery, state=DeliveryState.UNCOMMITTED, due_at=datetime.now(UTC), asks=0, asked_at=None)


class Committing:
    """Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._outbox = Outbox(rooms.database)
        self._commitments = Commitments(rooms.database)

    # ------------------------------------------------------------------ asking

    def run(self, job: Job) -> None:
        """Ask for what is due, wait a little for the answer, and come back when silence has lasted.

        A job that finds nothing due ends: whoever asked has enqueued the next one.
        """
        now = datetime.now(UTC) + _EARLY
        due = [each for each in self._waiting(self._outbox, job) if each.due_at <= now]
        settings = self._rooms.config.destinations.get(job.destination)
        if settings is None:
            raise RuntimeError(f"destinations.{job.destination} is not in the config any more; put it back")
        if not due:
            return
        error = self._ask(job, due, settings)
        self._rooms.passed("commit: asked")
        self._silent(job, due, settings, error)

    def _ask(self, job: Job, due: Sequence[Delivery], settings: Destination) -> DeliveryError | None:
        results = self._outbox.results(job.study_instance_uid, job.revision)
        classes = {each.sop_instance_uid: each.sop_class_uid for each in results}
        references = tuple(Reference(classes[each.sop_instance_uid], each.sop_instance_uid) for each in due)
        asked = CommitmentAsked(
            transaction_uid=commitment.new_transaction_uid(),
            study_instance_uid=job.study_instance_uid,
            revision=job.revision,
            destination=job.destination,
            asked_at=datetime.now(UTC),
        )
        self._commitments.add_asked(asked)
        question = Question(asked.transaction_uid, references)
        peer, own = _peer(self._rooms.config, settings), self._rooms.config.node.ae_title
        try:
            commitment.ask(question, peer, own, self.answered, settings.commitment_wait_s)
        except DeliveryError as error:
            return error
        return None

    def _silent(self, job: Job, asked: Sequence[Delivery], settings: Destination, error: DeliveryError | None) -> None:
        """Those without an answer yet are asked again later, or given up."""
        now, uids = datetime.now(UTC), {each.sop_instance_uid for each in asked}
        where = (job.study_instance_uid, job.revision, job.destination)
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            Index(joined).touch(job.study_instance_uid)
            waiting = [each for each in self._waiting(Outbox(joined), job) if each.sop_instance_uid in uids]
            after = [_unanswered(each, settings, str(error) if error else "", now) for each in waiting]
            for each in after:
                Outbox(joined).save_delivery(each)
                if each.last_error:
                    self._say(joined, each, each.last_error)
            again = [each.due_at for each in after if each.state is DeliveryState.UNCOMMITTED]
            if again:
                delay_s = max(0.0, (min(again) - now).total_seconds())
                self._rooms.enqueue(session, Stage.COMMIT, *where, delay_s=delay_s)
            if len(again) < len(after):
                self._rooms.enqueue(session, Stage.DELIVER, *where)  # what waited for one that failed fails too
            settle(joined, job.study_instance_uid, job.revision)

    def _waiting(self, outbox: Outbox, job: Job) -> list[Delivery]:
        return outbox.deliveries(
            job.study_instance_uid,
            revision=job.revision,
            destination=job.destination,
            states=[DeliveryState.UNCOMMITTED],
        )

    # ------------------------------------------------------------------ the destination's word

    def answered(self, answer: Answer) -> bool:
        """Take an answer, once and for all. False when the transaction is none of ours."""
        asked = self._commitments.asked(answer.transaction_uid)
        if asked is None:
            log.warning("commitment answer ignored: unknown transaction", transaction=answer.transaction_uid)
            return False
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            Index(joined).touch(asked.study_instance_uid)
            after = self._take(joined, asked, answer)
            if after:
                # also for what waited for these: see `node.delivery.Standing`
                due_at = max(each.due_at for each in after)
                delay_s = max(0.0, (due_at - datetime.now(UTC)).total_seconds())
                where = (asked.study_instance_uid, asked.revision, asked.destination)
                self._rooms.enqueue(session, Stage.DELIVER, *where, delay_s=delay_s)
            settle(joined, asked.study_instance_uid, asked.revision)
        return True

    def _take(self, joined: Database, asked: CommitmentAsked, answer: Answer) -> list[Delivery]:
        """Write down what the answer says of those that wait for it; returns them as they are now."""
        kept = {each.sop_instance_uid for each in answer.kept}
        failed = {each.sop_instance_uid: reason for each, reason in answer.failed}
        every = Outbox(joined).deliveries(
            asked.study_instance_uid,
            revision=asked.revision,
            destination=asked.destination,
            states=[DeliveryState.UNCOMMITTED],
        )
        taken = []
        for each in every:
            if each.sop_instance_uid in failed:
                after = self._not_kept(joined, each, failed[each.sop_instance_uid])
                self._say(joined, after, after.last_error)
            elif each.sop_instance_uid in kept:
                now = datetime.now(UTC)
                after = replace(each, state=DeliveryState.COMMITTED, due_at=now, committed_at=now, last_error="")
                self._say(joined, after, DeliveryState.COMMITTED.sentence)
            else:
                continue
            Outbox(joined).save_delivery(after)
            taken.append(after)
        return taken

    def _not_kept(self, joined: Database, delivery: Delivery, reason: int) -> Delivery:
        """It is sent again, unless it was tried often enough or a newer revision has come."""
        why = f"the destination does not keep it: Failure Reason 0x{reason:04X}"
        if reason == DUPLICATE_TRANSACTION:
            return replace(delivery, due_at=datetime.now(UTC), last_error=why)
        study = Index(joined).study(delivery.study_instance_uid)
        if study is not None and study.revision > delivery.revision:
            return replace(delivery, state=DeliveryState.SUPERSEDED, last_error=why)
        settings = self._rooms.config.destinations[delivery.destination]
        if delivery.attempts >= settings.max_attempts:
            text = f"{why} (given up after {delivery.attempts})"
            return replace(delivery, state=DeliveryState.FAILED, last_error=text)
        due_at = datetime.now(UTC) + timedelta(seconds=retry_after_s(settings, delivery.attempts))
        return replace(delivery, state=DeliveryState.PENDING, due_at=due_at, last_error=why)

    def _say(self, joined: Database, delivery: Delivery, what: str) -> None:
        text = f"{delivery.kind} → {delivery.destination}: {what}"
        tell(Index(joined), delivery.study_instance_uid, delivery.revision, "commit", text)


def _unanswered(delivery: Delivery, settings: Destination, why: str, now: datetime) -> Delivery:
    """After one more request that was not answered yet."""
    asks = delivery.asks + 1
    asked = replace(delivery, asks=asks, asked_at=delivery.asked_at or now, last_error=why)
    if asks >= settings.commitment_asks:
        text = f"asked {asks} times for commitment without an answer{f'; last: {why}' if why else ''}"
        return replace(asked, state=DeliveryState.FAILED, last_error=text)
    silence_s = min(_LONGEST_SILENCE_S, settings.commitment_silence_s * 2.0 ** min(asks - 1, 20))
    return replace(asked, due_at=now + timedelta(seconds=silence_s))


def _peer(config: Config, settings: Destination) -> Peer:
    return config.peers[settings.peer or ""]
