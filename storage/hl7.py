"""What HL7 messages said: orders, patients merged and corrected; and how each message was answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, Text, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storage import rows, schema
from storage.database import Database
from storage.records import Priority, Study, StudyState
from storage.rows import plain
from storage.schema import Base

#: States in which a study's turn is still to come.
_TO_COME = (StudyState.RECEIVING.value, StudyState.READING.value, StudyState.REPORTING.value)


class MessageRow(Base):
    """A message that was answered. sender: MSH-3 and MSH-4; sha256: of the message; answer: the acknowledgement."""

    __tablename__ = "hl7_message"
    sender: Mapped[str] = mapped_column(String(256), primary_key=True)
    control_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str] = mapped_column(Text)
    answered_at: Mapped[datetime] = mapped_column(index=True)


class OrderRow(Base):
    """See `Order`."""

    __tablename__ = "hl7_order"
    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    accession_number: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    urgent: Mapped[bool]
    said_at: Mapped[datetime] = mapped_column(index=True)


class PatientRow(Base):
    """See `PatientChange`."""

    __tablename__ = "hl7_patient"
    patient_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    issuer_of_patient_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    merged: Mapped[bool]
    patient_name: Mapped[str]
    patient_birth_date: Mapped[str]
    said_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of an exam, known by one or both of its study's UID and its accession number ("": not told)."""

    study_instance_uid: str
    accession_number: str
    urgent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientChange:
    """The last that was said of a patient: merged into another, or corrected to this name and birth date.

    patient_name: as in DICOM (PN), "" where not told. patient_birth_date: YYYYMMDD or "".
    """

    patient_id: str
    issuer_of_patient_id: str
    merged: bool = False
    patient_name: str = ""
    patient_birth_date: str = ""


class Hl7Record:
    """The three tables. What is asked here is decided in the caller's transaction, where there is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---------------------------------------------------------------- messages

    def answer(self, sender: str, control_id: str, sha256: str) -> str | None:
        """How this very message was answered before."""
        with self._database.transaction() as session:
            row = session.get(MessageRow, (sender, control_id))
            return row.answer if row is not None and row.sha256 == sha256 else None

    def answered(self, sender: str, control_id: str, sha256: str, answer: str, now: datetime) -> None:
        """Keep an answer; that to another message of the same MSH-10, where a sender counts anew, is replaced."""
        row = MessageRow(sender=sender, control_id=control_id, sha256=sha256, answer=answer, answered_at=now)
        with self._database.transaction() as session:
            session.merge(row)

    def forget(self, answers_before: datetime, said_before: datetime) -> None:
        """Forget answers, and what was said, of before these times."""
        with self._database.transaction() as session:
            session.execute(delete(MessageRow).where(MessageRow.answered_at < answers_before))
            session.execute(delete(OrderRow).where(OrderRow.said_at < said_before))
            session.execute(delete(PatientRow).where(PatientRow.said_at < said_before))

    # ---------------------------------------------------------------- orders

    def order(self, order: Order, now: datetime) -> None:
        """Keep an order as it is now; its exam, where it is here and waits for its turn, is urged."""
        study = schema.StudyRow
        with self._database.transaction() as session:
            session.merge(OrderRow(**asdict(order), said_at=now))
            if order.urgent:
                session.execute(
                    update(study)
                    .where(_of(study, order), study.state.in_(_TO_COME))
                    .values(priority=int(Priority.URGENT))
                )

    def cancel(self, order: Order) -> None:
        """Forget an order."""
        row = OrderRow
        with self._database.transaction() as session:
            session.execute(
                delete(row).where(
                    row.study_instance_uid == order.study_instance_uid, row.accession_number == order.accession_number
                )
            )

    def is_urgent(self, study_instance_uid: str, accession_number: str) -> bool:
        """Whether an order says so."""
        row = OrderRow
        by_accession = (row.accession_number == accession_number) & (row.study_instance_uid == "")
        mine = row.study_instance_uid == study_instance_uid
        mine = or_(mine, by_accession) if accession_number else mine
        with self._database.transaction() as session:
            return session.scalar(select(row.urgent).where(mine, row.urgent).limit(1)) is not None

    # ---------------------------------------------------------------- patients

    def change(self, change: PatientChange, now: datetime) -> None:
        """Keep what is said of a patient now."""
        with self._database.transaction() as session:
            session.merge(PatientRow(**asdict(change), said_at=now))

    def changes(self, patient_id: str, issuer_of_patient_id: str) -> list[PatientChange]:
        """What was said of a study's patient. An issuer that one side does not tell is no difference."""
        if not patient_id:
            return []
        row = PatientRow
        query = select(row).where(row.patient_id == patient_id)
        if issuer_of_patient_id:
            query = query.where(row.issuer_of_patient_id.in_(["", issuer_of_patient_id]))
        with self._database.transaction() as session:
            return [PatientChange(**plain(found, PatientChange)) for found in session.scalars(query)]

    def studies(self, patient_id: str, issuer_of_patient_id: str) -> list[Study]:
        """Studies of a patient that are or were read here, by the same comparison."""
        row = schema.StudyRow
        query = select(row).where(row.patient_id == patient_id, row.state != StudyState.STORED.value)
        if issuer_of_patient_id:
            query = query.where(row.issuer_of_patient_id.in_(["", issuer_of_patient_id]))
        with self._database.transaction() as session:
            return [rows.study(found) for found in session.scalars(query)]


def _of(study: type[schema.StudyRow], order: Order) -> ColumnElement[bool]:
    if order.study_instance_uid:
        return study.study_instance_uid == order.study_instance_uid
    return study.accession_number == order.accession_number
