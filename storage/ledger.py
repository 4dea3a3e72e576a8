"""The ledger: what came with every association and request and became of it, and how what was kept stands now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from storage.database import Database
from storage.records import DeliveryState, StudyState
from storage.schema import SETTLED_FORWARDS, DeliveryRow, InstanceRow, ReadingRow, StudyRow, UTCDateTime, is_open
from storage.schema_traffic import ForwardRow, TransferItemRow, TransferRow

#: `Item.outcome` of what was newly kept, and of what was not.
STORED, REFUSED = "stored", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An association (service C-STORE) or a request (STOW-RS) with which instances came.

    name: as logs call it. ending: how it ended; "" while it is open.
    """

    service: str
    name: str
    calling_ae_title: str
    address: str
    began_at: datetime
    ended_at: datetime | None = None
    ending: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One instance that came. status: what it was answered with. why: of what was not simply stored; no patient in it.

    UIDs are "" where the sender gave none that is one.
    """

    at: datetime
    sop_instance_uid: str
    study_instance_uid: str
    outcome: str
    status: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """A transfer, and how many instances it brought by what became of them."""

    transfer: Transfer
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a study received in a span of time, and how the study stands now.

    to_read: of the instances, those that a rule gave to the reader; the last came at last_to_read_at. state: None where
    the study is gone. read_at: when the reading of its present revision was saved. delivered, undelivered: that
    revision's objects. not_forwarded: instances that were given up.
    """

    study_instance_uid: str
    instances: int
    to_read: int
    last_to_read_at: datetime | None
    state: StudyState | None
    revision: int
    changed_at: datetime | None
    category: str
    read_at: datetime | None
    delivered: int = 0
    undelivered: int = 0
    not_forwarded: int = 0


class Ledger:
    """Lines are added and never changed, but for how a transfer ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---------------------------------------------------------------- writing

    def begin(self, transfer: Transfer, items: Sequence[Item]) -> int:
        """Note a transfer with the first of what it brings; returns its number."""
        with self._database.writing() as session:
            values = asdict(transfer)
            number = session.scalars(insert(TransferRow).values(**values).returning(TransferRow.id)).one()
            _add(session, number, items)
            return number

    def add(self, number: int, items: Sequence[Item]) -> None:
        """Note more of what a transfer brought."""
        with self._database.writing() as session:
            _add(session, number, items)

    def end(self, number: int, at: datetime, ending: str) -> None:
        """Note how a transfer ended."""
        with self._database.writing() as session:
            session.execute(update(TransferRow).where(TransferRow.id == number).values(ended_at=at, ending=ending))

    def close_open(self, at: datetime, ending: str, began_before: datetime | None = None) -> int:
        """End what a process left open that is no more; returns how many. began_before: only what began before then."""
        open_ones = update(TransferRow).where(TransferRow.ended_at.is_(None))
        if began_before is not None:
            open_ones = open_ones.where(TransferRow.began_at < began_before)
        with self._database.transaction() as session:
            closed = open_ones.values(ended_at=at, ending=ending).returning(TransferRow.id)
            return len(list(session.scalars(closed)))

    def forget(self, before: datetime) -> int:
        """Remove transfers that began before then; returns how many."""
        old = select(TransferRow.id).where(TransferRow.began_at < before)
        with self._database.transaction() as session:
            session.execute(delete(TransferItemRow).where(TransferItemRow.transfer_id.in_(old)))
            gone = delete(TransferRow).where(TransferRow.began_at < before).returning(TransferRow.id)
            return len(list(session.scalars(gone)))

    # ---------------------------------------------------------------- reading

    def transfers(self, since: datetime, until: datetime) -> list[Counted]:
        """Transfers that brought something in [since, until), in the order they began."""
        row, item = TransferRow, TransferItemRow
        query = (
            select(row, item.outcome, func.count())
            .join(item, item.transfer_id == row.id)
            .where(item.at >= since, item.at < until)
            .group_by(row.id, item.outcome)
            .order_by(row.began_at, row.id)
        )
        found: dict[int, Counted] = {}
        with self._database.transaction() as session:
            for transfer, outcome, count in session.execute(query):
                found.setdefault(transfer.id, Counted(_transfer(transfer), {})).counts[outcome] = count
        return list(found.values())

    def reasons(self, since: datetime, until: datetime) -> dict[tuple[str, int, str], int]:
        """(outcome, status, why) of what was not simply kept → how many."""
        row = TransferItemRow
        query = (
            select(row.outcome, row.status, row.why, func.count())
            .where(row.at >= since, row.at < until, row.why != "")
            .group_by(row.outcome, row.status, row.why)
            .order_by(func.count().desc())
        )
        with self._database.transaction() as session:
            return {(outcome, status, why): count for outcome, status, why, count in session.execute(query)}

    def missing(self, since: datetime, until: datetime) -> list[str]:
        """SOP Instance UIDs that were answered as stored then, and are not in the index."""
        row = TransferItemRow
        query = (
            select(row.sop_instance_uid)
            .outerjoin(InstanceRow, InstanceRow.sop_instance_uid == row.sop_instance_uid)
            .where(row.at >= since, row.at < until, row.outcome == STORED, InstanceRow.sop_instance_uid.is_(None))
            .distinct()
        )
        with self._database.transaction() as session:
            return list(session.scalars(query))

    def standings(self, since: datetime, until: datetime) -> list[Standing]:
        """Every study of which something was kept in [since, until), by the index and not by what senders were told."""
        row = InstanceRow
        came = (
            select(
                row.study_instance_uid,
                func.count().label("instances"),
                func.sum(case((row.to_read, 1), else_=0)).label("to_read"),
                func.max(case((row.to_read, row.received_at)), type_=UTCDateTime()).label("last_to_read_at"),
            )
            .where(row.received_at >= since, row.received_at < until)
            .group_by(row.study_instance_uid)
            .subquery()
        )
        query = (
            select(came, StudyRow, ReadingRow.category, ReadingRow.saved_at)
            .outerjoin(StudyRow, StudyRow.study_instance_uid == came.c.study_instance_uid)
            .outerjoin(
                ReadingRow,
                (ReadingRow.study_instance_uid == StudyRow.study_instance_uid)
                & (ReadingRow.revision == StudyRow.revision),
            )
            .order_by(came.c.study_instance_uid)
        )
        with self._database.transaction() as session:
            sent, unforwarded = _sent(session, since, until), _unforwarded(session)
            return [
                Standing(
                    study_instance_uid=uid,
                    instances=instances,
                    to_read=int(to_read),
                    last_to_read_at=last,
                    state=StudyState(study.state) if study is not None else None,
                    revision=study.revision if study is not None else 0,
                    changed_at=study.changed_at if study is not None else None,
                    category=category or "",
                    read_at=read_at,
                    delivered=sent.get((uid, True), 0),
                    undelivered=sent.get((uid, False), 0),
                    not_forwarded=unforwarded.get(uid, 0),
                )
                for uid, instances, to_read, last, study, category, read_at in session.execute(query)
            ]


def _add(session: Session, number: int, items: Sequence[Item]) -> None:
    if items:
        session.execute(insert(TransferItemRow), [{"transfer_id": number, **asdict(each)} for each in items])


def _sent(session: Session, since: datetime, until: datetime) -> dict[tuple[str, bool], int]:
    """(study, delivered) → objects of the study's present revision, of studies that received something then."""
    row, came = DeliveryRow, InstanceRow
    studies = select(came.study_instance_uid).where(came.received_at >= since, came.received_at < until)
    query = (
        select(row.study_instance_uid, row.state, func.count())
        .join(StudyRow, (StudyRow.study_instance_uid == row.study_instance_uid) & (StudyRow.revision == row.revision))
        .where(row.study_instance_uid.in_(studies))
        .group_by(row.study_instance_uid, row.state)
    )
    found: Counter[tuple[str, bool]] = Counter()
    for study, state, count in session.execute(query):
        found[study, state == DeliveryState.DELIVERED] += count
    return found


def _unforwarded(session: Session) -> dict[str, int]:
    query = (
        select(ForwardRow.study_instance_uid, func.count())
        .where(ForwardRow.state == DeliveryState.FAILED.value, is_open(ForwardRow.state, SETTLED_FORWARDS))
        .group_by(ForwardRow.study_instance_uid)
    )
    return {str(study): count for study, count in session.execute(query)}


def _transfer(row: TransferRow) -> Transfer:
    return Transfer(
        service=row.service,
        name=row.name,
        calling_ae_title=row.calling_ae_title,
        address=row.address,
        began_at=row.began_at,
        ended_at=row.ended_at,
        ending=row.ending,
    )
