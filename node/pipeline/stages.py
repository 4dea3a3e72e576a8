"""The three stages. Each is run at least once per job and counts once: its result is written together with the
conditional move of the study's state and the next job, in one transaction of the index.

A stage that fails is tried again with backoff; an exam that cannot be read in the end is answered as NOT_READ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ai.findings import Category, Reading, ReadOutcome
from ai.reasons import Reason, ReasonCode
from node import delivery, findable, logs, routing
from node.destinations import Outgoing, Sent
from node.errors import PermanentDelivery, ReaderStopped
from node.exams import StoredExam, header, stored_exam
from node.pipeline.jobs import Job, NotFinished, Stage
from node.pipeline.rooms import Rooms, tell
from node.priors import Priors
from node.reporting import NoSource, Reporting
from storage.database import Database
from storage.index import Index
from storage.objects import AlteredObject
from storage.outbox import Outbox
from storage.records import DeliveryState, Refusal, ResultObject, StoredReading, Study, StudyState

log = logs.get(__name__)

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0
_REPORT_ATTEMPTS = 5


class Stages:
    """Runs jobs. Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._index = Index(rooms.database)
        self._outbox = Outbox(rooms.database)
        self._priors = Priors(self._index, self._outbox, rooms.store)
        self._reporting = Reporting(rooms.config, rooms.store)

    def run(self, job: Job) -> None:
        """Run one job; what goes wrong in it is logged, told in the exam's history, and tried again."""
        stage = {Stage.READ: self._read, Stage.REPORT: self._report, Stage.DELIVER: self._deliver}[job.stage]
        with logs.about(job=job.job_id):
            try:
                stage(job)
            except ReaderStopped as stopped:
                raise NotFinished from stopped
            except Exception as error:
                log.exception("stage failed", stage=job.stage)
                self._again(job, f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------------ read

    def _read(self, job: Job) -> None:
        study = self._index.study(job.study_instance_uid)
        if study is None or study.revision != job.revision or study.state is not StudyState.READING:
            return
        if study.failures >= self._rooms.config.reading.max_attempts:
            outcome = self._not_read(job, study.failures)
        else:
            outcome = self._attempt(job, study)
        self._rooms.passed("read: done")
        self._save(job, outcome.reading, outcome)
        self._rooms.passed("read: committed")

    def _attempt(self, job: Job, study: Study) -> ReadOutcome:
        instances = self._index.instances(job.study_instance_uid)
        stored = stored_exam(study, instances, self._rooms.store)
        # a prior that the reader dies of does not cost the exam at hand: the next attempt goes without
        wanted = self._rooms.reader.priors if study.failures == 0 else 0
        given = self._priors.beside(stored, study, instances, wanted)
        outcome = self._rooms.reader.read(given.exam, given.files, job.revision)
        return replace(outcome, reading=_telling(outcome.reading, stored))

    def _not_read(self, job: Job, failures: int) -> ReadOutcome:
        """The answer after the last attempt. It looks at no file: whatever made the attempts fail must not stop it."""
        reason = Reason(ReasonCode.READER_FAILED, detail=f"{failures} attempts")
        reading = Reading(
            study_instance_uid=job.study_instance_uid,
            revision=job.revision,
            algorithm=self._rooms.reader.algorithm,
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
        saved = StoredReading(
            study_instance_uid=reading.study_instance_uid,
            revision=reading.revision,
            reading_json=reading.to_json(),
            category=reading.category,
            previews=previews,
            saved_at=datetime.now(UTC),
        )
        held = any(reason.code is ReasonCode.PATIENT_CONFLICT for reason in reading.reasons)
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index, outbox = Index(joined), Outbox(joined)
            next_state = StudyState.HELD if held else StudyState.REPORTING
            if not index.advance(job.study_instance_uid, job.revision, {StudyState.READING: next_state}):
                return
            outbox.save_reading(saved, _refusals(reading))
            tell(index, job.study_instance_uid, job.revision, "read", _summary(reading))
            if not held:
                self._rooms.enqueue(session, Stage.REPORT, job.study_instance_uid, job.revision)

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
        names = routing.destinations(self._rooms.config, dict.fromkeys(instance.rule for instance in to_read))
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
            self._settle(joined, job)
        self._rooms.passed("report: committed")

    # ------------------------------------------------------------------ deliver

    def _deliver(self, job: Job) -> None:
        settings = self._rooms.config.destinations.get(job.destination)
        if settings is None:
            raise RuntimeError(f"destinations.{job.destination} is not in the config any more; put it back, or requeue")
        pending = {item.sop_instance_uid: item for item in _standing(self._outbox, job).to_send()}
        for sent in self._sent(job, list(pending)):
            now = datetime.now(UTC)
            after = delivery.judged(pending[sent.sop_instance_uid], sent, settings, now)
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
        yield from delivery.send(self._rooms.config, job.destination, [self._outgoing(each) for each in whole])

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
            if waiting := standing.to_send():
                due_at = min(item.due_at for item in waiting)
                delay_s = max(0.0, (due_at - datetime.now(UTC)).total_seconds())
                self._rooms.enqueue(
                    session, job.stage, job.study_instance_uid, job.revision, job.destination, delay_s=delay_s
                )
            self._settle(joined, job)

    def _settle(self, joined: Database, job: Job) -> None:
        """The study's state follows from its deliveries. Touches the study first, so that two settle in turn."""
        index, outbox = Index(joined), Outbox(joined)
        index.touch(job.study_instance_uid)
        every = outbox.deliveries(job.study_instance_uid, revision=job.revision)
        if any(item.state is DeliveryState.PENDING for item in every):
            return
        not_made = [result for result in outbox.results(job.study_instance_uid, job.revision) if result.error]
        if any(item.state is DeliveryState.FAILED for item in every):
            after, text = StudyState.UNDELIVERED, StudyState.UNDELIVERED.sentence
        elif not_made or not every:
            after, text = StudyState.HELD, f"{len(not_made)} result objects could not be made"
        else:
            after, text = StudyState.ANSWERED, StudyState.ANSWERED.sentence
        if index.advance(job.study_instance_uid, job.revision, {StudyState.DELIVERING: after}):
            tell(index, job.study_instance_uid, job.revision, "answer", text)

    # ------------------------------------------------------------------ trying again

    def _again(self, job: Job, why: str) -> None:
        with self._rooms.database.transaction() as session:
            index = Index(self._rooms.database.joining(session))
            failures = index.count_failure(job.study_instance_uid)
            delay_s = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(failures - 1, 20))
            due = (datetime.now(UTC) + timedelta(seconds=delay_s)).isoformat(timespec="seconds")
            tell(index, job.study_instance_uid, job.revision, job.stage, f"failed: {why}; again at {due}")
            self._follow(session, job, delay_s)

    def _hold(self, job: Job, state: StudyState, why: str) -> None:
        if self._index.advance(job.study_instance_uid, job.revision, {state: StudyState.HELD}):
            tell(self._index, job.study_instance_uid, job.revision, job.stage, f"held for a person: {why}")

    def _follow(self, session: Any, job: Job, delay_s: float) -> None:
        """Enqueue the same work once more."""
        self._rooms.enqueue(session, job.stage, job.study_instance_uid, job.revision, job.destination, delay_s=delay_s)


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
