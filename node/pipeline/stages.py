"""The three stages. Each is run at least once per job and counts once: its result is written together with the
conditional move of the study's state and the next job, in one transaction of the index.

A stage that fails is tried again with backoff; an exam that cannot be read in the end is answered as NOT_READ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ai.findings import Category, Reading, ReadOutcome
from ai.reasons import Reason, ReasonCode
from node import delivery, drift, findable, logs
from node.destinations import Outgoing, Sent
from node.errors import PermanentDelivery, ReaderOutOfMemory, ReaderStopped, ReaderUnavailable
from node.exams import StoredExam, header, stored_exam
from node.intake import Intake
from node.pipeline import committing, sending
from node.pipeline.committing import Committing
from node.pipeline.fetching import Fetching
from node.pipeline.forwarding import Forwarding
from node.pipeline.identifying import Identifying
from node.pipeline.jobs import Job, NotFinished, Stage
from node.pipeline.rooms import Rooms, tell
from node.pipeline.settling import settle
from node.pipeline.shadowing import Shadowing
from node.priors import Priors
from node.reader import Reader
from node.reporting import NoSource, Reporting
from storage.index import Index
from storage.objects import AlteredObject
from storage.outbox import Outbox
from storage.records import DeliveryState, Instance, Refusal, ResultObject, StoredReading, Study, StudyState

log = logs.get(__name__)

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0
_REPORT_ATTEMPTS = 5
_UNAVAILABLE_S = 30.0
_FORWARD_FAILURES = 6  # as if it were the sixth: again in a minute


class Stages:
    """Runs jobs. Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms, intake: Intake, shadowing: Shadowing) -> None:
        self._rooms = rooms
        self._shadowing = shadowing
        self._index = Index(rooms.database)
        self._outbox = Outbox(rooms.database)
        self._priors = Priors(self._index, self._outbox, rooms.store)
        self._reporting = Reporting(rooms.config, rooms.store)
        self._watch = drift.Watch(rooms.config.reading)
        self._identifying = Identifying(rooms)
        self._of: dict[Stage, Callable[[Job], None]] = {
            Stage.FETCH: Fetching(rooms, intake).run,
            Stage.READ: self._read,
            Stage.REPORT: self._report,
            Stage.DELIVER: self._deliver,
            Stage.COMMIT: Committing(rooms).run,
            Stage.FORWARD: Forwarding(rooms).run,
            Stage.SHADOW: shadowing.read,
        }

    def run(self, job: Job) -> None:
        """Run one job; what goes wrong in it is logged, told in the exam's history, and tried again."""
        stage = self._of[job.stage]
        with logs.about(job=job.job_id, study=job.study_instance_uid):
            try:
                stage(job)
                log.info("job done", stage=job.stage, revision=job.revision)
            except ReaderStopped as stopped:
                raise NotFinished from stopped
            except ReaderUnavailable as error:
                log.warning("no reader", error=str(error))
                self._wait(job, str(error))
            except Exception as error:
                log.exception("stage failed", stage=job.stage)
                if job.stage is Stage.SHADOW:  # nobody waits for it: the comparison goes without this exam
                    return
                self._again(job, f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------------ read

    def _read(self, job: Job) -> None:
        study = self._index.study(job.study_instance_uid)
        if study is None or study.revision != job.revision or study.state is not StudyState.READING:
            return
        instances = self._index.instances(job.study_instance_uid)
        reader = self._rooms.readers.of(instance.rule for instance in instances if instance.to_read)
        most = reader.settings.max_attempts
        if study.failures >= most:
            outcome = self._not_read(job, reader, ReasonCode.READER_FAILED, study.failures)
        else:
            try:
                outcome = self._attempt(job, study, instances, reader)
            except ReaderOutOfMemory:
                if study.failures + 1 < most:
                    raise
                outcome = self._not_read(job, reader, ReasonCode.OUT_OF_MEMORY, most)
        self._rooms.passed("read: done")
        self._save(job, outcome.reading, outcome)
        self._rooms.passed("read: committed")

    def _attempt(self, job: Job, study: Study, instances: Sequence[Instance], reader: Reader) -> ReadOutcome:
        stored = stored_exam(study, instances, self._rooms.store)
        # a prior that the reader dies of does not cost the exam at hand: the next attempt goes without
        wanted = reader.priors if study.failures == 0 else 0
        given = self._priors.beside(stored, study, instances, wanted)
        outcome = reader.read(given.exam, given.files, job.revision, alone=study.failures > 0)
        return replace(outcome, reading=_telling(outcome.reading, stored))

    def _not_read(self, job: Job, reader: Reader, code: ReasonCode, attempts: int) -> ReadOutcome:
        """The answer after the last attempt. It looks at no file: whatever made the attempts fail must not stop it."""
        reason = Reason(code, detail=f"{attempts} attempts")
        reading = Reading(
            study_instance_uid=job.study_instance_uid,
            revision=job.revision,
            algorithm=reader.algorithm,
            category=Category.NOT_READ,
            started_at=datetime.now(UTC),
            reasons=(reason,),
        )
        return ReadOutcome(reading, {})

    def _save(self, job: Job, reading: Reading, outcome: ReadOutcome) -> None:
        previews = {
            uid: self._rooms.store.put(
                [png], study_instance_uid=reading.study_instance_uid, name=uid, suffix=".png"
            ).path
            for uid, png in outcome.previews.items()
        }
        watched = self._watch.about(reading)
        held = any(reason.code is ReasonCode.PATIENT_CONFLICT for reason in reading.reasons)
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index, outbox = Index(joined), Outbox(joined)
            next_state = StudyState.HELD if held else StudyState.REPORTING
            if not index.advance(job.study_instance_uid, job.revision, {StudyState.READING: next_state}):
                return
            reading = drift.suspended(reading, joined)
            outbox.save_reading(_stored(reading, previews), _refusals(reading))
            tell(index, job.study_instance_uid, job.revision, "read", _summary(reading))
            for alarm in drift.moved(watched, reading, joined) if watched is not None else ():
                tell(index, job.study_instance_uid, job.revision, "drift", f"alarm: {alarm.detail}")
            if not held:
                self._rooms.enqueue(session, Stage.REPORT, job.study_instance_uid, job.revision)
            if not held and self._rooms.config.shadow.is_on:
                self._rooms.enqueue(session, Stage.SHADOW, job.study_instance_uid, job.revision)

    # ------------------------------------------------------------------ report

    def _report(self, job: Job) -> None:
        study = self._index.study(job.study_instance_uid)
        stored = self._outbox.reading(job.study_instance_uid, job.revision)
        if study is None or stored is None or (study.revision, study.state) != (job.revision, StudyState.REPORTING):
            return
        if study.failures >= _REPORT_ATTEMPTS:
            self._hold(job, StudyState.REPORTING, f"no report after {_REPORT_ATTEMPTS} attempts")
            return
        instances = self._index.instances(job.study_instance_uid)
        to_read = [instance for instance in instances if instance.to_read]
        taken = dict.fromkeys((instance.rule, instance.calling_ae_title) for instance in to_read)
        names = self._rooms.router.destinations(taken)
        if not names:
            senders = ", ".join(sorted({sender for _, sender in taken}))
            self._hold(job, StudyState.REPORTING, f"no destination leads back to its sender, {senders}")
            return
        earlier = [result for result in self._outbox.results(job.study_instance_uid) if result.revision < job.revision]
        prior = self._priors.result(Reading.from_json(stored.reading_json), study, instances)
        try:
            reported = self._reporting.report(stored, instances, earlier, names, prior)
        except NoSource as error:
            self._hold(job, StudyState.REPORTING, str(error))
            return
        self._rooms.passed("report: files written")
        entries = [findable.entry(header(self._rooms.store.path(each.path))) for each in reported.results if each.path]
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index, outbox = Index(joined), Outbox(joined)
            steps = {StudyState.REPORTING: StudyState.DELIVERING}
            if not index.advance(job.study_instance_uid, job.revision, steps):
                return
            outbox.add_results(reported.results, reported.deliveries, entries)
            for result in reported.results:
                what = f"not made: {result.error}" if result.error else f"{result.sop_instance_uid}"
                tell(index, job.study_instance_uid, job.revision, "report", f"{result.kind} {what}")
            for name in dict.fromkeys(item.destination for item in reported.deliveries):
                self._rooms.enqueue(session, Stage.DELIVER, job.study_instance_uid, job.revision, name)
            settle(joined, job.study_instance_uid, job.revision)
        self._rooms.passed("report: committed")

    # ------------------------------------------------------------------ deliver

    def _deliver(self, job: Job) -> None:
        settings = self._rooms.config.destinations.get(job.destination)
        if settings is None:
            raise RuntimeError(f"destinations.{job.destination} is not in the config any more; put it back, or requeue")
        due = {item.sop_instance_uid: item for item in _standing(self._outbox, job).to_send()}
        pending = self._identifying.may_go(job, due, settings)
        for sent in self._sent(job, list(pending)):
            now = datetime.now(UTC)
            after = committing.sent(delivery.judged(pending[sent.sop_instance_uid], sent, settings, now), settings)
            self._rooms.passed("deliver: sent")
            self._outbox.save_delivery(after)
            what = after.state.sentence if after.state is not DeliveryState.PENDING else "will be tried again"
            said = f": {after.last_error}" if after.last_error else ""
            text = f"{after.kind} → {after.destination}: {what}{said}"
            tell(self._index, job.study_instance_uid, job.revision, "deliver", text)
            self._rooms.passed("deliver: recorded")
        self._after_delivery(job)
        self._rooms.passed("deliver: committed")

    def _sent(self, job: Job, sop_instance_uids: Sequence[str]) -> Iterator[Sent]:
        """Send those whose files are what was made; the others are told as failed and never sent."""
        made = {each.sop_instance_uid: each for each in self._outbox.results(job.study_instance_uid, job.revision)}
        whole = []
        for uid in sop_instance_uids:
            try:
                self._rooms.store.verify(made[uid].path, made[uid].sha256)
            except AlteredObject as error:
                why = PermanentDelivery(f"{error}; ask for a new reading with requeue --read")
                yield Sent(sop_instance_uid=uid, error=why)
            else:
                whole.append(made[uid])
        objects = [self._outgoing(each) for each in whole]
        yield from sending.send(self._rooms, job.study_instance_uid, job.destination, objects)

    def _outgoing(self, result: ResultObject) -> Outgoing:
        return Outgoing(
            sop_instance_uid=result.sop_instance_uid,
            sop_class_uid=result.sop_class_uid,
            path=self._rooms.store.path(result.path),
        )

    def _after_delivery(self, job: Job) -> None:
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            standing = _standing(Outbox(joined), job)
            for item in standing.kept_back():
                Outbox(joined).save_delivery(item)
                text = f"{item.kind} → {item.destination}: {item.last_error}"
                tell(Index(joined), job.study_instance_uid, job.revision, "deliver", text)
            if standing.not_asked():
                self._rooms.enqueue(session, Stage.COMMIT, job.study_instance_uid, job.revision, job.destination)
            if waiting := standing.to_send():
                due_at = min(item.due_at for item in waiting)
                delay_s = max(0.0, (due_at - datetime.now(UTC)).total_seconds())
                self._rooms.enqueue(
                    session, job.stage, job.study_instance_uid, job.revision, job.destination, delay_s=delay_s
                )
            settle(joined, job.study_instance_uid, job.revision)

    # ------------------------------------------------------------------ trying again

    def _again(self, job: Job, why: str) -> None:
        with self._rooms.database.transaction() as session:
            index = Index(self._rooms.database.joining(session))
            # forwarding is no stage of the exam: its failures must not cost the exam its reading
            forwarding = job.stage is Stage.FORWARD
            failures = _FORWARD_FAILURES if forwarding else index.count_failure(job.study_instance_uid)
            delay_s = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(failures - 1, 20))
            due = (datetime.now(UTC) + timedelta(seconds=delay_s)).isoformat(timespec="seconds")
            tell(index, job.study_instance_uid, job.revision, job.stage, f"failed: {why}; again at {due}")
            self._follow(session, job, delay_s)

    def _wait(self, job: Job, why: str) -> None:
        """Once more later, for a reason that has nothing to do with the exam and counts against it no attempt."""
        with self._rooms.database.transaction() as session:
            index = Index(self._rooms.database.joining(session))
            tell(index, job.study_instance_uid, job.revision, job.stage, f"waits {_UNAVAILABLE_S:g} s: {why}")
            self._follow(session, job, _UNAVAILABLE_S)

    def _hold(self, job: Job, state: StudyState, why: str) -> None:
        if self._index.advance(job.study_instance_uid, job.revision, {state: StudyState.HELD}):
            tell(self._index, job.study_instance_uid, job.revision, job.stage, f"held for a person: {why}")

    def _follow(self, session: Any, job: Job, delay_s: float) -> None:
        """Enqueue the same work once more."""
        self._rooms.enqueue(session, job.stage, job.study_instance_uid, job.revision, job.destination, delay_s=delay_s)


def _stored(reading: Reading, previews: dict[str, str]) -> StoredReading:
    return StoredReading(
        study_instance_uid=reading.study_instance_uid,
        revision=reading.revision,
        reading_json=reading.to_json(),
        category=reading.category,
        previews=previews,
        saved_at=datetime.now(UTC),
    )


def _standing(outbox: Outbox, job: Job) -> delivery.Standing:
    every = outbox.deliveries(job.study_instance_uid, revision=job.revision, destination=job.destination)
    not_made = sum(bool(result.error) for result in outbox.results(job.study_instance_uid, job.revision))
    return delivery.Standing(tuple(every), not_made)


def _telling(reading: Reading, stored: StoredExam) -> Reading:
    """The reading, telling also of images whose files were missing or altered."""
    return replace(reading, left_out=(*reading.left_out, *stored.unreadable)) if stored.unreadable else reading


def _refusals(reading: Reading) -> Iterator[Refusal]:
    """Reasons and left-out images, for counting."""
    for left_out, reasons in ((False, reading.reasons), (True, reading.left_out)):
        yield from (Refusal(str(reason.code), reason.sop_instance_uid, left_out) for reason in reasons)


def _summary(reading: Reading) -> str:
    if reading.category is Category.NOT_READ:
        return f"{reading.category}: " + "; ".join(reason.code for reason in reading.reasons)
    return f"{reading.category}, band {reading.band}, {len(reading.findings)} findings"
