"""What searches find: attributes of every study, series and instance, and columns that narrow a search.

SQL narrows and pages; what exactly matches is decided by whoever asks (`node.query`), where columns cannot.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal, select, union_all, update
from sqlalchemy.orm import InstrumentedAttribute

from storage.database import Database
from storage.records import Entry, Held
from storage.schema import FoundInstanceRow, FoundSeriesRow, FoundStudyRow, InstanceRow, ResultObjectRow, table

_BATCH = 200  # rows fetched at a time


class Level(StrEnum):
    """The level of the information model that is searched (PS3.4 C.6.2)."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"


_COLUMNS: Mapping[str, InstrumentedAttribute[str]] = {
    "study_instance_uid": FoundStudyRow.study_instance_uid,
    "patient_id": FoundStudyRow.patient_id,
    "patient_name": FoundStudyRow.patient_name,
    "accession_number": FoundStudyRow.accession_number,
    "study_date": FoundStudyRow.study_date,
    "series_instance_uid": FoundSeriesRow.series_instance_uid,
    "modality": FoundSeriesRow.modality,
    "sop_instance_uid": FoundInstanceRow.sop_instance_uid,
    "sop_class_uid": FoundInstanceRow.sop_class_uid,
    "study_attributes": FoundStudyRow.attributes,
    "series_attributes": FoundSeriesRow.attributes,
    "instance_attributes": FoundInstanceRow.attributes,
}
# Of every instance that comes; see `storage.arrivals`.
_STUDIES, _SERIES, _INSTANCES = table(FoundStudyRow), table(FoundSeriesRow), table(FoundInstanceRow)
_STUDY = select(_STUDIES).where(_STUDIES.c.study_instance_uid == bindparam("uid"))
_ADD_STUDY, _ADD_SERIES, _ADD_INSTANCE = insert(_STUDIES), insert(_SERIES), insert(_INSTANCES)
_CHANGE_STUDY = update(_STUDIES).where(_STUDIES.c.study_instance_uid == bindparam("uid"))
_HAS_SERIES = select(literal(1)).where(
    _SERIES.c.series_instance_uid == bindparam("series"), _SERIES.c.study_instance_uid == bindparam("study")
)
_HAS_INSTANCE = select(literal(1)).where(_INSTANCES.c.sop_instance_uid == bindparam("uid"))
_LEVEL_OF = {FoundStudyRow: Level.STUDY, FoundSeriesRow: Level.SERIES, FoundInstanceRow: Level.INSTANCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Conditions on columns (by name) that everything searched for fulfils.

    any_of: one of these values. between: from the first to the second, both included. like: column and a pattern in
    which * stands for any characters, upper and lower case alike on some databases; `attributes` of a level are its
    text as JSON.
    """

    any_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    between: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    like: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One match: its UIDs down to the level searched, and the attributes of that level and those above it."""

    uids: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(slots=True)
class Summary:
    """What a study contains; series: UID → how many instances."""

    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)
    series: Counter[str] = field(default_factory=Counter)


class Catalogue:
    """The truth about what searches find and which file each instance is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---------------------------------------------------------------- in and out

    def add(self, entry: Entry) -> None:
        """Make an instance findable; one that already is stays as it is. Call it in the transaction that indexes it."""
        with self._database.transaction() as session:
            connection = session.connection()
            if connection.execute(_HAS_INSTANCE, {"uid": entry.sop_instance_uid}).first() is not None:
                return
            _add_study(connection, entry)
            _add_series(connection, entry)
            row = {
                "sop_instance_uid": entry.sop_instance_uid,
                "study_instance_uid": entry.study_instance_uid,
                "series_instance_uid": entry.series_instance_uid,
                "sop_class_uid": entry.sop_class_uid,
                "attributes": _text(entry.instance),
            }
            connection.execute(_ADD_INSTANCE, row)

    def forget(self, study_instance_uid: str) -> None:
        """Remove a study from what is found."""
        with self._database.transaction() as session:
            for table in (FoundInstanceRow, FoundSeriesRow, FoundStudyRow):
                session.execute(delete(table).where(table.study_instance_uid == study_instance_uid))

    def not_findable(self) -> Generator[Held, None, None]:
        """Files of instances that searches do not find, such as those kept before there were searches."""
        for row in (InstanceRow, ResultObjectRow):
            found = FoundInstanceRow.sop_instance_uid == row.sop_instance_uid
            query = select(*_held(row)).where(row.path != "", ~select(1).where(found).exists())
            after = ""
            while True:
                page = query.where(row.sop_instance_uid > after).order_by(row.sop_instance_uid).limit(_BATCH)
                with self._database.transaction() as session:
                    batch = [Held(**each._mapping) for each in session.execute(page)]
                yield from batch
                if len(batch) < _BATCH:
                    break
                after = batch[-1].sop_instance_uid

    # ---------------------------------------------------------------- searching

    def find(
        self, level: Level, narrowing: Narrowing, *, offset: int = 0, limit: int | None = None
    ) -> Generator[Found, None, None]:
        """What fulfils the conditions: latest study date first, then by UIDs. Close the generator to end the search."""
        query = _selected(level)
        for row, conditions in _conditions(narrowing).items():
            query = query.where(*conditions) if _within(row, level) else query.where(_exists(row, level, conditions))
        query = query.order_by(*_order(level)).offset(offset).limit(limit)
        if limit is None:
            query = query.execution_options(yield_per=_BATCH)
        count = len(_uid_columns(level))
        with self._database.transaction() as session:
            for row in session.execute(query):
                yield Found(tuple(row[:count]), _merged(row[count:]))

    def summaries(self, study_instance_uids: Iterable[str]) -> dict[str, Summary]:
        """What each of these studies contains."""
        row, series = FoundInstanceRow, FoundSeriesRow
        of_series = (row.study_instance_uid == series.study_instance_uid) & (
            row.series_instance_uid == series.series_instance_uid
        )
        columns = (row.study_instance_uid, row.series_instance_uid, series.modality, row.sop_class_uid)
        query = (
            select(*columns, func.count())
            .join(series, of_series)
            .where(row.study_instance_uid.in_(list(study_instance_uids)))
            .group_by(*columns)
        )
        found: dict[str, Summary] = {}
        with self._database.transaction() as session:
            for study, series_uid, modality, sop_class, count in session.execute(query):
                summary = found.setdefault(study, Summary())
                summary.series[series_uid] += count
                summary.modalities.add(modality)
                summary.sop_classes.add(sop_class)
        return found

    # ---------------------------------------------------------------- retrieving

    def held(self, study_instance_uid: str, series_instance_uid: str = "", sop_instance_uid: str = "") -> list[Held]:
        """The files of a study, of one of its series or of one instance, in the order they came."""
        uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
        names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        return self.files({name: [uid] for name, uid in zip(names, uids, strict=True) if uid})

    def files(self, any_of: Mapping[str, Sequence[str]]) -> list[Held]:
        """The files that have one of these UIDs, by the name of the UID, in the order they came."""
        parts = []
        for row, when in ((InstanceRow, InstanceRow.received_at), (ResultObjectRow, ResultObjectRow.created_at)):
            part = select(
                *_held(row),
                literal(int(row is ResultObjectRow)).label("made"),
                when.label("at"),
            ).where(row.path != "", *(getattr(row, name).in_(uids) for name, uids in any_of.items()))
            parts.append(part)
        both = union_all(*parts).subquery()
        query = select(*both.c[:7]).order_by(both.c.made, both.c.at, both.c.sop_instance_uid)
        with self._database.transaction() as session:
            return [Held(**row._mapping) for row in session.execute(query)]


def _held(row: type[InstanceRow] | type[ResultObjectRow]) -> Sequence[InstrumentedAttribute[Any]]:
    """The columns of a `Held`."""
    uids = (row.sop_instance_uid, row.sop_class_uid, row.study_instance_uid, row.series_instance_uid)
    return (*uids, row.path, row.sha256, row.size_bytes)


def _add_study(connection: Connection, entry: Entry) -> None:
    """Insert the study; of one that is there only what it lacked is added."""
    of_study = {"uid": entry.study_instance_uid}
    row = connection.execute(_STUDY, of_study).first()
    columns = ("patient_id", "patient_name", "accession_number", "study_date")
    if row is None:
        new = {name: getattr(entry, name) for name in ("study_instance_uid", *columns)}
        connection.execute(_ADD_STUDY, {**new, "attributes": _text(entry.study)})
        return
    held = json.loads(row.attributes)
    both = {**entry.study, **{tag: element for tag, element in held.items() if _filled(element)}}
    if both == held:
        return
    filled = {name: getattr(row, name) or getattr(entry, name) for name in columns}
    connection.execute(_CHANGE_STUDY, {**of_study, **filled, "attributes": _text(both)})


def _add_series(connection: Connection, entry: Entry) -> None:
    of_series = {"series": entry.series_instance_uid, "study": entry.study_instance_uid}
    if connection.execute(_HAS_SERIES, of_series).first() is None:
        row = {
            "series_instance_uid": entry.series_instance_uid,
            "study_instance_uid": entry.study_instance_uid,
            "modality": entry.modality,
            "attributes": _text(entry.series),
        }
        connection.execute(_ADD_SERIES, row)


def _filled(element: Mapping[str, Any]) -> bool:
    return any(name in element for name in ("Value", "InlineBinary"))


def _text(attributes: Mapping[str, Any]) -> str:
    return json.dumps(attributes, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _merged(texts: Sequence[str]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for text in texts:
        attributes.update(json.loads(text))
    return attributes


# ---------------------------------------------------------------- queries


def _uid_columns(level: Level) -> list[InstrumentedAttribute[str]]:
    if level is Level.STUDY:
        return [FoundStudyRow.study_instance_uid]
    if level is Level.SERIES:
        return [FoundSeriesRow.study_instance_uid, FoundSeriesRow.series_instance_uid]
    row = FoundInstanceRow
    return [row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid]


def _order(level: Level) -> list[ColumnElement[str]]:
    study = FoundStudyRow
    return [study.study_date.desc(), study.study_instance_uid.desc(), *(each.asc() for each in _uid_columns(level)[1:])]


def _selected(level: Level) -> Any:
    uids, study, series = _uid_columns(level), FoundStudyRow, FoundSeriesRow
    if level is Level.STUDY:
        return select(*uids, study.attributes)
    of_study = series.study_instance_uid == study.study_instance_uid
    if level is Level.SERIES:
        return select(*uids, study.attributes, series.attributes).join_from(study, series, of_study)
    row = FoundInstanceRow
    of_series = (row.study_instance_uid == series.study_instance_uid) & (
        row.series_instance_uid == series.series_instance_uid
    )
    columns = select(*uids, study.attributes, series.attributes, row.attributes)
    return columns.join_from(study, series, of_study).join(row, of_series)


def _within(row: Any, level: Level) -> bool:
    """Whether the level's query has this table in it."""
    levels = list(Level)
    return levels.index(_LEVEL_OF[row]) <= levels.index(level)


def _exists(row: Any, level: Level, conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Something below the level fulfils the conditions, as for ModalitiesInStudy."""
    below = select(row.study_instance_uid).where(
        *conditions, row.study_instance_uid == FoundStudyRow.study_instance_uid
    )
    if level is Level.SERIES:
        below = below.where(row.series_instance_uid == FoundSeriesRow.series_instance_uid)
    return below.exists()


def _conditions(narrowing: Narrowing) -> dict[Any, list[ColumnElement[bool]]]:
    """Table → the conditions on its columns."""
    found: dict[Any, list[ColumnElement[bool]]] = {}
    for name, values in narrowing.any_of.items():
        found.setdefault(_COLUMNS[name].class_, []).append(_COLUMNS[name].in_(values))
    for name, (lowest, highest) in narrowing.between.items():
        column = _COLUMNS[name]
        found.setdefault(column.class_, []).extend((column >= lowest, column <= highest))
    for name, pattern in narrowing.like:
        found.setdefault(_COLUMNS[name].class_, []).extend(_like(_COLUMNS[name], pattern))
    return found


def _like(column: InstrumentedAttribute[str], pattern: str) -> list[ColumnElement[bool]]:
    """The pattern, and the range of its beginning, which an index can find."""
    beginning = pattern.partition("*")[0] if column.key != "attributes" else ""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    conditions: list[ColumnElement[bool]] = [column.like(escaped, escape="\\")]
    if beginning:
        conditions += [column >= beginning, column < beginning + "\U0010ffff"]
    return conditions
