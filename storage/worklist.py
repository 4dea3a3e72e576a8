"""What the worklist says will be examined, what modalities say they have done, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage import schema
from storage.database import Database
from storage.records import Priority
from storage.worklist_tables import ExpectedRow, StepRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A scheduled exam. urgent: its Requested Procedure Priority is one that the site calls so."""

    study_instance_uid: str
    scheduled_procedure_step_id: str
    accession_number: str
    patient_id: str
    issuer_of_patient_id: str
    station_ae_title: str
    scheduled_at: datetime
    urgent: bool

    @property
    def study_date(self) -> str:
        """The local day it is scheduled for, ISO 8601."""
        return self.scheduled_at.astimezone().date().isoformat()


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformedStep:
    """What a modality says it has done. images: SOP Instance UIDs it made. why: it was discontinued, in its words."""

    sop_instance_uid: str
    study_instance_uid: str
    state: StepState
    station_ae_title: str
    changed_at: datetime
    images: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedLine:
    """A scheduled exam and what has come of it. state: the study's (`StudyState`), "" where nothing came.

    steps: states of what modalities say they performed.
    """

    expected: Expected
    state: str
    steps: tuple[StepState, ...]


class Worklist:
    """The two tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, listed: Iterable[Expected], now: datetime) -> None:
        """Note what the worklist says now; what it said of the same step before is replaced."""
        with self._database.transaction() as session:
            for each in listed:
                session.merge(ExpectedRow(**asdict(each), listed_at=now))

    def forget(self, before: datetime) -> None:
        """Forget exams scheduled, and steps changed, before this."""
        with self._database.transaction() as session:
            session.execute(delete(ExpectedRow).where(ExpectedRow.scheduled_at < before))
            session.execute(delete(StepRow).where(StepRow.changed_at < before))

    def expected(self, study_instance_uid: str) -> list[Expected]:
        """The scheduled steps of a study."""
        query = select(ExpectedRow).where(ExpectedRow.study_instance_uid == study_instance_uid)
        with self._database.transaction() as session:
            return [_expected(row) for row in session.scalars(query)]

    def urge(self, study_instance_uid: str) -> None:
        """Make a study urgent, where it is here."""
        row = schema.StudyRow
        with self._database.transaction() as session:
            session.execute(
                update(row).where(row.study_instance_uid == study_instance_uid).values(priority=int(Priority.URGENT))
            )

    def lines(self, start: datetime, end: datetime) -> list[ExpectedLine]:
        """What is scheduled from `start` until before `end`, in order of time, with what came of it.

        An exam counts as come by its Study Instance UID, or by its accession number.
        """
        row, study = ExpectedRow, schema.StudyRow
        came = or_(
            study.study_instance_uid == row.study_instance_uid,
            (study.accession_number == row.accession_number) & (row.accession_number != ""),
        )
        state = select(func.min(study.state)).where(came).scalar_subquery()
        query = select(row, state).where(row.scheduled_at >= start, row.scheduled_at < end).order_by(row.scheduled_at)
        with self._database.transaction() as session:
            return [
                ExpectedLine(expected=_expected(found), state=state or "", steps=_steps(session, found))
                for found, state in session.execute(query)
            ]

    # ---------------------------------------------------------------- performed procedure steps

    def step(self, sop_instance_uid: str) -> PerformedStep | None:
        """The step of that UID."""
        with self._database.transaction() as session:
            row = session.get(StepRow, sop_instance_uid)
            return None if row is None else _step(row)

    def begin(self, step: PerformedStep) -> bool:
        """Keep a new step. False when there is one of its UID; of two at once one is kept."""
        try:
            with self._database.transaction() as session:
                session.execute(insert(StepRow).values(**_values(step), signalled=False))
        except IntegrityError:
            return False
        return True

    def change(self, step: PerformedStep) -> bool:
        """Keep a step as it is now. False when it has ended meanwhile, or is not there."""
        row = StepRow
        with self._database.transaction() as session:
            under_way = (row.sop_instance_uid == step.sop_instance_uid) & (row.state == StepState.IN_PROGRESS.value)
            done = update(row).where(under_way).values(**_values(step)).returning(row.sop_instance_uid)
            return session.scalar(done) is not None

    def whole(self) -> list[PerformedStep]:
        """Completed steps, not signalled yet, all of whose images are here."""
        query = select(StepRow).where(StepRow.state == StepState.COMPLETED.value, StepRow.signalled.is_(False))
        with self._database.transaction() as session:
            steps = [_step(row) for row in session.scalars(query)]
            return [step for step in steps if step.images and _held(session, step.images)]

    def signalled(self, sop_instance_uid: str) -> None:
        """The exam has been declared whole for this step."""
        with self._database.transaction() as session:
            session.execute(update(StepRow).where(StepRow.sop_instance_uid == sop_instance_uid).values(signalled=True))


def _values(step: PerformedStep) -> dict[str, Any]:
    return {**asdict(step), "state": step.state.value, "images": json.dumps(step.images)}


def _held(session: Session, images: tuple[str, ...]) -> bool:
    row = schema.InstanceRow.sop_instance_uid
    return session.scalar(select(func.count()).where(row.in_(images))) == len(set(images))


def _steps(session: Session, row: ExpectedRow) -> tuple[StepState, ...]:
    found = session.scalars(select(StepRow.state).where(StepRow.study_instance_uid == row.study_instance_uid))
    return tuple(StepState(state) for state in found)


def _expected(row: ExpectedRow) -> Expected:
    return Expected(
        study_instance_uid=row.study_instance_uid,
        scheduled_procedure_step_id=row.scheduled_procedure_step_id,
        accession_number=row.accession_number,
        patient_id=row.patient_id,
        issuer_of_patient_id=row.issuer_of_patient_id,
        station_ae_title=row.station_ae_title,
        scheduled_at=row.scheduled_at,
        urgent=row.urgent,
    )


def _step(row: StepRow) -> PerformedStep:
    return PerformedStep(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        state=StepState(row.state),
        station_ae_title=row.station_ae_title,
        changed_at=row.changed_at,
        images=tuple(json.loads(row.images)),
        why=row.why,
    )
