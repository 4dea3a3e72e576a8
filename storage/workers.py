"""Who works on this database: a row for each slot, which its holder renews as long as it lives.

A slot is a worker's name over restarts, so that a restart takes up its own work. On PostgreSQL it is held by an
advisory lock of a session that does nothing else; on SQLite, where there is one worker, by a lock on a file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, String, delete, false, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Database, DatabaseUnavailable
from storage.schema import Base

_PATIENCE_S = 1.0
_MOST_SLOTS = 1000


class SlotTaken(RuntimeError):
    """Another process works under this name."""


class WorkerRow(Base):
    """See `Worker`. `holder` is different for every process that ever held the slot."""

    __tablename__ = "worker"
    slot: Mapped[str] = mapped_column(String(255), primary_key=True)
    roles: Mapped[str]
    holder: Mapped[str] = mapped_column(String(32))
    process_id: Mapped[int]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    ended: Mapped[bool]
    leads: Mapped[bool] = mapped_column(server_default=false())


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A slot, and since when it has not been heard of (by the database's clock). ended: it said goodbye.

    holder: of the process that has it. leads: it did what only one should do, when it was last heard of.
    """

    slot: str
    holder: str
    roles: frozenset[str]
    started_at: datetime
    beat_at: datetime
    silent_s: float
    ended: bool
    leads: bool


class Workers:
    """The slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Worker]:
        """Every slot, by name."""
        with self._database.transaction() as session:
            now = session.scalar(select(func.now(type_=WorkerRow.beat_at.type)))
            rows = session.scalars(select(WorkerRow).order_by(WorkerRow.slot))
            return [_worker(row, now) for row in rows]

    def enter(self, slot: str, roles: str, holder: str) -> None:
        """Write that a process holds a slot from now on. holder: 32 hex digits that no other process ever has."""
        now = func.now()
        row = {"roles": roles, "holder": holder, "process_id": os.getpid(), "ended": False}
        with self._database.transaction() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.slot == slot))
            session.execute(insert(WorkerRow).values(slot=slot, started_at=now, beat_at=now, **row))

    def beat(self, slot: str, holder: str, *, ended: bool = False, leads: bool = False) -> bool:
        """Write that the holder lives (or ends). False when another process holds the slot now."""
        with self._database.transaction() as session:
            done = session.execute(
                update(WorkerRow)
                .where(WorkerRow.slot == slot, WorkerRow.holder == holder)
                .values(beat_at=func.now(), ended=ended, leads=leads)
                .returning(WorkerRow.slot)
            )
            return done.first() is not None

    def forget(self, slot: str, seen: datetime) -> None:
        """Remove a slot that was not heard of since `seen`."""
        with self._database.transaction() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.slot == slot, WorkerRow.beat_at == seen))


def _worker(row: WorkerRow, now: Any) -> Worker:
    return Worker(
        slot=row.slot,
        holder=row.holder,
        roles=frozenset(row.roles.split("+")),
        started_at=row.started_at,
        beat_at=row.beat_at,
        silent_s=max(0.0, (now - row.beat_at).total_seconds()),
        ended=row.ended,
        leads=row.leads,
    )


class Slot(Protocol):
    """A name that is this process's own while it holds it."""

    name: str

    def leads(self) -> bool:
        """Whether this is the one worker of all that does what only one should do."""

    def release(self) -> None:
        """Give it up."""


class FileSlot:
    """The only worker of a database: holds a file locked."""

    def __init__(self, name: str, path: Path) -> None:
        """Raises SlotTaken when another process holds the file."""
        self.name = name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")
        # `status` looks whether a node runs by taking the lock for a moment
        deadline = time.monotonic() + _PATIENCE_S
        while not self._lock():
            if time.monotonic() > deadline:
                self._file.close()
                raise SlotTaken(str(path))
            time.sleep(0.05)

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leads(self) -> bool:
        """It is alone."""
        return True

    def release(self) -> None:
        """Unlock the file."""
        self._file.close()


class DatabaseSlot:
    """The first free one of `name`.1, `name`.2, …: an advisory lock of a PostgreSQL session, which ends with it."""

    def __init__(self, engine: Engine, name: str) -> None:
        """Raises DatabaseUnavailable."""
        self._engine = engine
        self._connection: Connection | None = None
        self._held = self._leader = False
        try:
            self.name = next(each for each in _names(name) if self._try(each))
            self._held = True
        except DBAPIError as error:
            raise DatabaseUnavailable(str(error.orig)) from error

    def leads(self) -> bool:
        """The first to ask leads until its session ends. After a lost session the lock is asked for anew."""
        try:
            if self._connection is not None:
                self._connection.scalar(text("SELECT 1"))
            self._held = self._held or self._try(self.name)
            self._leader = self._leader or (self._held and self._try("leader"))
        except DBAPIError:
            self.release()
        return self._leader

    def release(self) -> None:
        """End the session, and with it every lock."""
        connection, self._connection = self._connection, None
        self._held = self._leader = False
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _try(self, name: str) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        number = int.from_bytes(hashlib.sha256(f"mammo-node {name}".encode()).digest()[:8], "big", signed=True)
        return bool(self._connection.scalar(text(f"SELECT pg_try_advisory_lock({number})")))


def _names(name: str) -> list[str]:
    return [f"{name}.{number}" for number in range(1, _MOST_SLOTS)]
