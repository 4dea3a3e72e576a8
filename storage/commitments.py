"""Storage commitment on disk: requests of others until they are answered, and our own transactions (PS3.4 J)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.records import Told
from storage.rows import plain
from storage.schema_commitment import CommitmentAskedRow, CommitmentRequestRow


class RequestState(Told):
    """Where a request for our commitment stands."""

    PENDING = "PENDING", "the answer is still to be sent"
    REPORTED = "REPORTED", "the peer has our answer"
    FAILED = "FAILED", "needs a person: the answer could not be sent, and was given up"


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance as commitment names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """A peer's request that we keep these instances. due_at: when its answer is sent, or tried again."""

    transaction_uid: str
    calling_ae_title: str
    references: tuple[Reference, ...]
    state: RequestState
    attempts: int
    received_at: datetime
    due_at: datetime
    reported_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentAsked:
    """A transaction of ours: what of a study's revision a destination was asked to keep."""

    transaction_uid: str
    study_instance_uid: str
    revision: int
    destination: str
    asked_at: datetime


class Commitments:
    """Both sides of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---------------------------------------------------------------- asked of us

    def add_request(self, request: CommitmentRequest) -> bool:
        """Keep a request; durable on return. The same request again is due again.

        False when its Transaction UID is already in use by this peer for other instances.
        """
        row = CommitmentRequestRow
        try:
            with self._database.transaction() as session:
                session.execute(insert(row).values(**_columns(request)))
        except IntegrityError:
            values = {"state": request.state.value, "due_at": request.due_at, "attempts": 0}
            with self._database.transaction() as session:
                again = update(row).where(
                    row.transaction_uid == request.transaction_uid,
                    row.calling_ae_title == request.calling_ae_title,
                    row.references_json == _columns(request)["references_json"],
                )
                return session.scalar(again.values(values).returning(row.transaction_uid)) is not None
        return True

    def claim(self, now: datetime, until: datetime) -> CommitmentRequest | None:
        """A request that is due, now due again at `until` only: two workers never send one answer at a time."""
        row = CommitmentRequestRow
        due = select(row).where(row.state == RequestState.PENDING.value, row.due_at <= now).order_by(row.due_at)
        with self._database.transaction() as session:
            for found in session.scalars(due.limit(10)):
                claimed = update(row).where(
                    row.transaction_uid == found.transaction_uid,
                    row.calling_ae_title == found.calling_ae_title,
                    row.due_at == found.due_at,
                )
                if session.scalar(claimed.values(due_at=until).returning(row.transaction_uid)) is not None:
                    return _request(found)
        return None

    def save_request(self, request: CommitmentRequest) -> None:
        """Write back what became of a request."""
        row = CommitmentRequestRow
        with self._database.transaction() as session:
            session.execute(
                update(row)
                .where(row.transaction_uid == request.transaction_uid, row.calling_ae_title == request.calling_ae_title)
                .values(_columns(request))
            )

    def requests(self) -> list[CommitmentRequest]:
        """All that are kept, oldest first."""
        query = select(CommitmentRequestRow).order_by(CommitmentRequestRow.received_at)
        with self._database.transaction() as session:
            return [_request(row) for row in session.scalars(query)]

    def request_counts(self) -> Counter[RequestState]:
        """How many requests are in each state."""
        query = select(CommitmentRequestRow.state, func.count()).group_by(CommitmentRequestRow.state)
        with self._database.transaction() as session:
            return Counter({RequestState(state): count for state, count in session.execute(query)})

    def forget_requests(self, before: datetime) -> None:
        """Remove requests that were answered before then."""
        with self._database.transaction() as session:
            session.execute(delete(CommitmentRequestRow).where(CommitmentRequestRow.reported_at < before))

    # ---------------------------------------------------------------- asked by us

    def add_asked(self, asked: CommitmentAsked) -> None:
        """Keep a transaction, before the peer hears of it."""
        with self._database.transaction() as session:
            session.execute(insert(CommitmentAskedRow).values(**asdict(asked)))

    def asked(self, transaction_uid: str) -> CommitmentAsked | None:
        """The transaction with this UID."""
        with self._database.transaction() as session:
            row = session.get(CommitmentAskedRow, transaction_uid)
            return CommitmentAsked(**plain(row, CommitmentAsked)) if row is not None else None


def _columns(request: CommitmentRequest) -> dict[str, Any]:
    values = asdict(request)
    del values["references"]
    return {**values, "references_json": _text(request.references), "state": request.state.value}


def _text(references: Sequence[Reference]) -> str:
    return json.dumps([[each.sop_class_uid, each.sop_instance_uid] for each in references])


def _request(row: CommitmentRequestRow) -> CommitmentRequest:
    references = tuple(Reference(*each) for each in json.loads(row.references_json))
    return CommitmentRequest(
        transaction_uid=row.transaction_uid,
        calling_ae_title=row.calling_ae_title,
        references=references,
        state=RequestState(row.state),
        attempts=row.attempts,
        received_at=row.received_at,
        due_at=row.due_at,
        reported_at=row.reported_at,
        last_error=row.last_error,
    )
