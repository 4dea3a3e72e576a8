"""The tables, and an engine that keeps what it says it has kept. What changes here needs a step in `migrations`.

SQLite: WAL, synchronous FULL, a busy timeout; never on network storage. A transaction's first statement is a
write wherever it decides something, because SQLite takes its lock there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    false,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column

_CONNECTIONS = 60  # at most, beyond a few that are kept open: every association and web request may need one or two


#: A host that was cut off must not keep its rows locked, nor wait for ever for a server that is gone: both ends
#: look after some seconds of silence whether the other is there, and a transaction that nobody goes on with ends.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 14_000,
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=14000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
}


class UTCDateTime(TypeDecorator[datetime]):
    """Timezone-aware datetimes, kept as UTC (SQLite itself forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime may not be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The metadata of all tables."""

    metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})
    type_annotation_map = {datetime: UTCDateTime}  # noqa: RUF012  (SQLAlchemy reads it from the class)


_UID = String(64)
#: A count of bytes may pass 2³¹; SQLite's integers are that large anyway.
BYTES = BigInteger().with_variant(Integer(), "sqlite")


#: States that nothing is to be done for any more, as nearly all rows are in: indexes of the others alone stay small.
SETTLED_STUDIES = ("ANSWERED", "STORED")
SETTLED_DELIVERIES = ("DELIVERED", "COMMITTED", "SUPERSEDED")
SETTLED_FORWARDS = ("DELIVERED",)


def is_open(state: ColumnElement[str] | InstrumentedAttribute[str], settled: Sequence[str]) -> ColumnElement[bool]:
    """The condition of an `open_index`, which has to be said for the index to be used: literally, not as a value."""
    return state.not_in([literal_column(f"'{each}'") for each in settled])


def open_index(table_name: str, settled: Sequence[str], *columns: str) -> Index:
    """An index of the rows that are not settled."""
    condition = text(f"state NOT IN ({', '.join(repr(each) for each in settled)})")
    return Index(f"ix_{table_name}_open", *columns, sqlite_where=condition, postgresql_where=condition)


def table(row: type[Base]) -> Table:
    """The table of a kind of row: statements on it do without the work that rows as objects are."""
    return cast("Table", row.__table__)


class InstanceRow(Base):
    """See `storage.records.Instance`."""

    __tablename__ = "instance"
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    series_instance_uid: Mapped[str] = mapped_column(_UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(_UID)
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BYTES)
    received_at: Mapped[datetime] = mapped_column(index=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    to_read: Mapped[bool]
    rule: Mapped[str]
    standard_view: Mapped[str]
    patient_id: Mapped[str]
    issuer_of_patient_id: Mapped[str]
    accession_number: Mapped[str]
    study_date: Mapped[str]


class StudyRow(Base):
    """See `storage.records.Study`."""

    __tablename__ = "study"
    __table_args__ = (
        open_index("study", SETTLED_STUDIES, "state", "due_at"),
        Index(None, "state", "changed_at"),
        Index(None, "state", "last_received_at"),
        Index(None, "last_received_at"),
        Index(None, "patient_id", "issuer_of_patient_id", "study_date"),
    )
    study_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    jobs: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    due_at: Mapped[datetime | None]
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    patient_id: Mapped[str]
    issuer_of_patient_id: Mapped[str]
    accession_number: Mapped[str]
    study_date: Mapped[str]


class ReadingRow(Base):
    """See `storage.records.StoredReading`."""

    __tablename__ = "reading"
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("study.study_instance_uid"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    reading_json: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(16))
    previews_json: Mapped[str] = mapped_column(Text)
    saved_at: Mapped[datetime]


class RefusalRow(Base):
    """See `storage.records.Refusal`; of the reading of that revision, kept so that they can be counted."""

    __tablename__ = "refusal"
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("study.study_instance_uid"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    left_out: Mapped[bool]
    saved_at: Mapped[datetime] = mapped_column(index=True)


class ResultObjectRow(Base):
    """See `storage.records.ResultObject`."""

    __tablename__ = "result_object"
    __table_args__ = (Index(None, "study_instance_uid", "revision"),)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("study.study_instance_uid"))
    series_instance_uid: Mapped[str] = mapped_column(_UID)
    revision: Mapped[int]
    kind: Mapped[str]
    options: Mapped[str]
    part: Mapped[str] = mapped_column(server_default="")
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BYTES)
    created_at: Mapped[datetime]
    error: Mapped[str] = mapped_column(Text)


class DeliveryRow(Base):
    """See `storage.records.Delivery`."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(None, "study_instance_uid", "revision", "destination"),
        open_index("delivery", SETTLED_DELIVERIES, "state", "destination", "due_at"),
    )
    sop_instance_uid: Mapped[str] = mapped_column(ForeignKey("result_object.sop_instance_uid"), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID)
    revision: Mapped[int]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    last_status: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(Text)
    delivered_at: Mapped[datetime | None]
    asks: Mapped[int] = mapped_column(server_default="0")
    asked_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    released: Mapped[bool] = mapped_column(server_default=false())


class AsideRow(Base):
    """See `storage.records.Aside`."""

    __tablename__ = "aside"
    id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(_UID)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    received_at: Mapped[datetime]
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)


class EventRow(Base):
    """See `storage.records.Event`."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    revision: Mapped[int]
    at: Mapped[datetime]
    stage: Mapped[str]
    text: Mapped[str] = mapped_column(Text)


#: Text that sorts by its code points on every database, so that a range of it is found by its index.
_SORTED = String().with_variant(String(collation="C"), "postgresql")


class FoundStudyRow(Base):
    """What searches find of a study: see `storage.catalogue`. The columns narrow, `attributes` is DICOM JSON."""

    __tablename__ = "found_study"
    __table_args__ = (Index(None, "study_date", "study_instance_uid"),)
    study_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    patient_id: Mapped[str] = mapped_column(_SORTED, index=True)
    patient_name: Mapped[str] = mapped_column(_SORTED, index=True)
    accession_number: Mapped[str] = mapped_column(_SORTED, index=True)
    study_date: Mapped[str] = mapped_column(_SORTED)
    attributes: Mapped[str] = mapped_column(Text)


class FoundSeriesRow(Base):
    """What searches find of a series."""

    __tablename__ = "found_series"
    series_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(
        ForeignKey("found_study.study_instance_uid"), primary_key=True, index=True
    )
    modality: Mapped[str] = mapped_column(_SORTED)
    attributes: Mapped[str] = mapped_column(Text)


class FoundInstanceRow(Base):
    """What searches find of an instance, received or made here."""

    __tablename__ = "found_instance"
    __table_args__ = (Index(None, "study_instance_uid", "series_instance_uid"),)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("found_study.study_instance_uid"))
    series_instance_uid: Mapped[str] = mapped_column(_UID)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    attributes: Mapped[str] = mapped_column(Text)


class SchemaVersionRow(Base):
    """One row that says 2, for good: software of before there were migrations reads it, and refuses."""

    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(primary_key=True)


def make_engine(database_url: str) -> Engine:
    """An engine for SQLite (pragmas set) or PostgreSQL. Creates a SQLite file's folder."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, max_overflow=_CONNECTIONS, connect_args=_POSTGRESQL)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30}, max_overflow=_CONNECTIONS)
    event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
