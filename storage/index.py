"""The index: received instances, studies and their states, the history of each exam.

State changes are conditional updates: what they return says whether they happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, case, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from storage import arrivals, records, rows, schema, schema_watch
from storage.catalogue import Catalogue
from storage.database import Database
from storage.forwards import Forwards
from storage.records import DeliveryState, StudyState
from storage.schema_commitment import CommitmentAskedRow
from storage.schema_priors import FetchedPriorRow
from storage.schema_traffic import ForwardRow
from storage.tallies import Tallies

_OPEN = schema.is_open(schema.StudyRow.state, schema.SETTLED_STUDIES)
_WITH_FILES = (schema.InstanceRow, schema.ResultObjectRow)


class Index:
    """The truth about what the node holds and where each exam stands."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tallies = Tallies(database)

    # ---------------------------------------------------------------- intake

    def add_instance(
        self,
        instance: records.Instance,
        due_at: Callable[[frozenset[str]], datetime | None],
        entry: records.Entry | None = None,
        priority: records.Priority = records.Priority.ROUTINE,
        forward_to: Sequence[str] = (),
    ) -> bool:
        """Index a new instance and reopen its study, in one transaction. False when the UID is already indexed.

        due_at: given the standard views now present, when the study counts as whole (None: it is not to be read).
        entry: what searches find of it; without, it is found by its UID alone. priority: the study takes it on where
        the instance is to be read and none of those before was more urgent. forward_to: destinations that get it.
        """
        try:
            with self._database.writing() as session:
                arrivals.add(session.connection(), instance, due_at, priority)
                Forwards.add(session, instance, forward_to)
                if entry is not None:
                    Catalogue(self._database.joining(session)).add(entry)
        except IntegrityError:
            return False
        return True

    def standard_views(self, study_instance_uid: str) -> frozenset[str]:
        """The standard views that a study holds."""
        with self._database.transaction() as session:
            return arrivals.standard_views(session.connection(), study_instance_uid)

    def expect_prior(self, study_instance_uid: str, prior_of: str, peer: str, now: datetime) -> None:
        """What comes of this study is kept as another's prior, and does not make it an exam to be read."""
        with self._database.transaction() as session:
            session.merge(
                FetchedPriorRow(study_instance_uid=study_instance_uid, prior_of=prior_of, peer=peer, asked_at=now)
            )

    def hasten(self, study_instance_uid: str, due_at: datetime) -> None:
        """A study that still receives counts as whole at `due_at`, if that is sooner."""
        with self._database.writing() as session:
            arrivals.hasten(session.connection(), study_instance_uid, due_at)

    def instance(self, sop_instance_uid: str) -> records.Instance | None:
        """The instance with this UID."""
        with self._database.transaction() as session:
            row = session.get(schema.InstanceRow, sop_instance_uid)
            return rows.instance(row) if row is not None else None

    def instances(self, study_instance_uid: str) -> list[records.Instance]:
        """A study's instances in the order they came."""
        query = (
            select(schema.InstanceRow)
            .where(schema.InstanceRow.study_instance_uid == study_instance_uid)
            .order_by(schema.InstanceRow.received_at, schema.InstanceRow.sop_instance_uid)
        )
        with self._database.transaction() as session:
            return [rows.instance(row) for row in session.scalars(query)]

    def add_aside(self, aside: records.Aside) -> bool:
        """Note bytes kept aside, once per content. False when this content is already noted."""
        try:
            with self._database.transaction() as session:
                session.execute(insert(schema.AsideRow).values(**asdict(aside)))
                if aside.study_instance_uid:
                    event = records.Event(
                        study_instance_uid=aside.study_instance_uid,
                        revision=0,
                        at=aside.received_at,
                        stage="receive",
                        text=f"kept aside {aside.sop_instance_uid}: {aside.reason}",
                    )
                    self._event(session, event)
        except IntegrityError:
            return False
        return True

    def asides(self) -> list[records.Aside]:
        """Everything kept aside, oldest first."""
        with self._database.transaction() as session:
            found = session.scalars(select(schema.AsideRow).order_by(schema.AsideRow.id))
            return [records.Aside(**rows.plain(row, records.Aside)) for row in found]

    # ---------------------------------------------------------------- studies

    def due_studies(self, now: datetime) -> list[str]:
        """Studies that count as whole at `now`."""
        query = select(schema.StudyRow.study_instance_uid).where(
            schema.StudyRow.state == StudyState.RECEIVING.value, schema.StudyRow.due_at <= now, _OPEN
        )
        with self._database.transaction() as session:
            return list(session.scalars(query))

    def hasten_all(self, latest: datetime) -> int:
        """No study that still receives is due later than `latest`: a clock that was wrong may have said so."""
        row = schema.StudyRow
        with self._database.transaction() as session:
            late = (row.state == StudyState.RECEIVING.value) & (row.due_at > latest) & _OPEN
            changed = update(row).where(late).values(due_at=latest).returning(row.study_instance_uid)
            return len(list(session.scalars(changed)))

    def close_study(self, study_instance_uid: str, now: datetime, *, anyway: bool = False) -> int | None:
        """Declare a study whole: READING with the next revision, which is returned; None when it was not due.

        anyway: from whatever state it is in (a person asked for it to be read again).
        """
        due = (schema.StudyRow.state == StudyState.RECEIVING.value) & (schema.StudyRow.due_at <= now)
        with self._database.transaction() as session:
            return session.scalar(
                update(schema.StudyRow)
                .where(schema.StudyRow.study_instance_uid == study_instance_uid, due if not anyway else true())
                .values(
                    state=StudyState.READING.value,
                    revision=schema.StudyRow.revision + 1,
                    failures=0,
                    due_at=None,
                    changed_at=now,
                )
                .returning(schema.StudyRow.revision)
            )

    def study(self, study_instance_uid: str) -> records.Study | None:
        """The study with this UID."""
        with self._database.transaction() as session:
            row = session.get(schema.StudyRow, study_instance_uid)
            return rows.study(row) if row is not None else None

    def studies(self, states: Iterable[StudyState] = StudyState, limit: int | None = None) -> list[records.Study]:
        """Studies in any of `states`, last received first; at most `limit` of them."""
        wanted = {state.value for state in states}
        query = select(schema.StudyRow).order_by(schema.StudyRow.last_received_at.desc()).limit(limit)
        if len(wanted) < len(StudyState):  # else the database would sort them all, to give the first
            query = query.where(schema.StudyRow.state.in_(wanted))
        if wanted.isdisjoint(schema.SETTLED_STUDIES):
            query = query.where(_OPEN)
        with self._database.transaction() as session:
            return [rows.study(row) for row in session.scalars(query)]

    def studies_with(self, part: str, limit: int) -> list[records.Study]:
        """Studies whose UID contains `part`; at most `limit` of them."""
        row = schema.StudyRow
        query = select(row).where(row.study_instance_uid.contains(part, autoescape=True)).limit(limit)
        with self._database.transaction() as session:
            return [rows.study(found) for found in session.scalars(query)]

    def earlier_studies(self, study: records.Study) -> list[records.Study]:
        """Studies with the same Patient ID and the same issuer, of an earlier study date; the newest first.

        None for a study without Patient ID or date. Neither ID alone, nor an issuer that one of them lacks, will do.
        """
        row = schema.StudyRow
        if not study.patient_id or not study.study_date:
            return []
        query = (
            select(row)
            .where(
                row.patient_id == study.patient_id,
                row.issuer_of_patient_id == study.issuer_of_patient_id,
                row.study_date != "",
                row.study_date < study.study_date,
            )
            .order_by(row.study_date.desc(), row.study_instance_uid)
        )
        with self._database.transaction() as session:
            return [rows.study(found) for found in session.scalars(query)]

    def expired(self, before: datetime, limit: int | None = None) -> list[str]:
        """Studies that need nobody any more and have not changed since `before`; at most `limit`."""
        row, forward = schema.StudyRow, ForwardRow
        awaited = select(forward).where(_not_forwarded(row.study_instance_uid)).exists()
        query = (
            select(row.study_instance_uid)
            .where(row.state.in_(schema.SETTLED_STUDIES), row.changed_at < before, ~awaited)
            .limit(limit)
        )
        with self._database.transaction() as session:
            return list(session.scalars(query))

    def forget(self, study_instance_uid: str, before: datetime) -> list[str]:
        """Remove every row of an expired study; returns its files' paths, [] when it changed meanwhile."""
        with self._database.transaction() as session:
            # locked first: a late image either comes before (then it is kept) or begins the study anew
            Index(self._database.joining(session)).touch(study_instance_uid)
            row = session.get(schema.StudyRow, study_instance_uid)
            if row is None or row.state not in schema.SETTLED_STUDIES or row.changed_at >= before:
                return []
            if session.scalar(select(ForwardRow).where(_not_forwarded(study_instance_uid)).limit(1)) is not None:
                return []
            paths = self._paths(session, study_instance_uid)
            tables = (
                ForwardRow,
                CommitmentAskedRow,
                FetchedPriorRow,
                schema.DeliveryRow,
                schema.ResultObjectRow,
                schema.RefusalRow,
                schema.ReadingRow,
                schema.InstanceRow,
                schema.EventRow,
                schema_watch.ShadowReadingRow,
            )
            for table in tables:
                session.execute(delete(table).where(table.study_instance_uid == study_instance_uid))
            session.delete(row)
            Catalogue(self._database.joining(session)).forget(study_instance_uid)
            return paths

    @staticmethod
    def _paths(session: Session, study_instance_uid: str) -> list[str]:
        found: list[str] = []
        for table in _WITH_FILES:
            found += session.scalars(select(table.path).where(table.study_instance_uid == study_instance_uid))
        previews = select(schema.ReadingRow.previews_json).where(
            schema.ReadingRow.study_instance_uid == study_instance_uid
        )
        for text in session.scalars(previews):
            found += json.loads(text).values()
        return [path for path in found if path]

    def advance(self, study_instance_uid: str, revision: int, steps: Mapping[StudyState, StudyState]) -> bool:
        """Move a study from a state in `steps` to the next. False when it is in none of them, or of another revision.

        A study that reopened (RECEIVING) is not moved: its next revision will answer for it.
        """
        with self._database.transaction() as session:
            moved = session.scalar(
                update(schema.StudyRow)
                .where(
                    schema.StudyRow.study_instance_uid == study_instance_uid,
                    schema.StudyRow.revision == revision,
                    schema.StudyRow.state.in_([state.value for state in steps]),
                )
                .values(
                    state=case({old.value: new.value for old, new in steps.items()}, value=schema.StudyRow.state),
                    failures=0,
                    changed_at=datetime.now(UTC),
                )
                .returning(schema.StudyRow.study_instance_uid)
            )
            return moved is not None

    def touch(self, study_instance_uid: str) -> None:
        """Lock the study's row until the transaction ends."""
        with self._database.transaction() as session:
            row = schema.StudyRow
            session.execute(
                update(row).where(row.study_instance_uid == study_instance_uid).values(revision=row.revision)
            )

    def count_failure(self, study_instance_uid: str) -> int:
        """Count one more failure of the current stage, and return the count."""
        return self._count(study_instance_uid, schema.StudyRow.failures)

    def next_job(self, study_instance_uid: str) -> int:
        """The number of the study's next job; never the same twice."""
        return self._count(study_instance_uid, schema.StudyRow.jobs)

    def precedence(self, study_instance_uid: str) -> tuple[records.Priority, datetime]:
        """How urgent a study is, and when its last instance came."""
        columns = select(schema.StudyRow.priority, schema.StudyRow.last_received_at)
        with self._database.transaction() as session:
            row = session.execute(columns.where(schema.StudyRow.study_instance_uid == study_instance_uid)).one()
        return records.Priority(row.priority), row.last_received_at

    def _count(self, study_instance_uid: str, column: InstrumentedAttribute[int]) -> int:
        with self._database.transaction() as session:
            return session.scalars(
                update(schema.StudyRow)
                .where(schema.StudyRow.study_instance_uid == study_instance_uid)
                .values({column: column + 1})
                .returning(column)
            ).one()

    # ---------------------------------------------------------------- history

    def add_event(self, event: records.Event) -> None:
        """Add a line to a study's history."""
        with self._database.transaction() as session:
            self._event(session, event)

    @staticmethod
    def _event(session: Session, event: records.Event) -> None:
        session.execute(insert(schema.table(schema.EventRow)).values(**asdict(event)))

    def events(self, study_instance_uid: str) -> list[records.Event]:
        """A study's history, oldest first."""
        query = (
            select(schema.EventRow)
            .where(schema.EventRow.study_instance_uid == study_instance_uid)
            .order_by(schema.EventRow.at, schema.EventRow.id)
        )
        with self._database.transaction() as session:
            return [records.Event(**rows.plain(row, records.Event)) for row in session.scalars(query)]


def _not_forwarded(study_instance_uid: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    delivered = ForwardRow.state == DeliveryState.DELIVERED.value
    return (ForwardRow.study_instance_uid == study_instance_uid) & ~delivered
