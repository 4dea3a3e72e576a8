"""What a new instance changes in the index, by statements that are made once.

SQLAlchemy takes longer to make a statement than SQLite to carry it out, and an instance needs a dozen of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, insert, literal, or_, select, update

from storage import records, schema
from storage.records import StudyState
from storage.schema_priors import FetchedPriorRow

_INSTANCES, _STUDIES = schema.table(schema.InstanceRow), schema.table(schema.StudyRow)
_FETCHED = schema.table(FetchedPriorRow)
_OF_STUDY: BindParameter[str] = bindparam("of_study")
_LEVEL: BindParameter[int] = bindparam("level")

_ADD_INSTANCE, _ADD_STUDY, _ADD_EVENT = insert(_INSTANCES), insert(_STUDIES), insert(schema.table(schema.EventRow))
_VIEWS = select(_INSTANCES.c.standard_view).where(
    _INSTANCES.c.study_instance_uid == _OF_STUDY, _INSTANCES.c.standard_view != ""
)
_IS_FETCHED = select(literal(1)).where(_FETCHED.c.study_instance_uid == _OF_STUDY)
_TOUCH = (
    update(_STUDIES)
    .where(_STUDIES.c.study_instance_uid == _OF_STUDY)
    .values(last_received_at=bindparam("received_at"), changed_at=bindparam("received_at"))
)
_MORE_URGENT = or_(_STUDIES.c.state == StudyState.STORED.value, _STUDIES.c.priority > _LEVEL)
_REOPEN = _TOUCH.values(
    state=StudyState.RECEIVING.value,
    due_at=bindparam("due"),
    priority=case((_MORE_URGENT, _LEVEL), else_=_STUDIES.c.priority),
)
_HASTEN = (
    update(_STUDIES)
    .where(
        _STUDIES.c.study_instance_uid == _OF_STUDY,
        _STUDIES.c.state == StudyState.RECEIVING.value,
        _STUDIES.c.due_at > bindparam("due"),
    )
    .values(due_at=bindparam("due"))
)


def add(
    connection: Connection,
    instance: records.Instance,
    due_at: Callable[[frozenset[str]], datetime | None],
    priority: records.Priority,
) -> None:
    """Add the instance, reopen or begin its study, and tell its history. Raises IntegrityError when it is held."""
    connection.execute(_ADD_INSTANCE, plain(instance))
    views = standard_views(connection, instance.study_instance_uid)
    _reopen(connection, instance, due_at(views) if instance.to_read else None, priority)
    connection.execute(_ADD_EVENT, plain(_received(instance)))


def standard_views(connection: Connection, study_instance_uid: str) -> frozenset[str]:
    """The standard views that a study holds."""
    return frozenset(connection.scalars(_VIEWS, {"of_study": study_instance_uid}))


def hasten(connection: Connection, study_instance_uid: str, due_at: datetime) -> None:
    """A study that still receives counts as whole at `due_at`, if that is sooner."""
    connection.execute(_HASTEN, {"of_study": study_instance_uid, "due": due_at})


def plain(record: Any) -> dict[str, Any]:
    """A record of plain values as a row; `asdict` would copy each of them."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def _reopen(
    connection: Connection, instance: records.Instance, due_at: datetime | None, priority: records.Priority
) -> None:
    of_study = {"of_study": instance.study_instance_uid}
    if due_at is not None and connection.execute(_IS_FETCHED, of_study).first() is not None:
        due_at = None
    changed: dict[str, Any] = {**of_study, "received_at": instance.received_at}
    if due_at is not None:
        changed |= {"due": due_at, "level": int(priority)}
    if connection.execute(_TOUCH if due_at is None else _REOPEN, changed).rowcount:
        return
    first = {
        "study_instance_uid": instance.study_instance_uid,
        "state": StudyState.STORED.value if due_at is None else StudyState.RECEIVING.value,
        "first_received_at": instance.received_at,
        "last_received_at": instance.received_at,
        "changed_at": instance.received_at,
        "patient_id": instance.patient_id,
        "issuer_of_patient_id": instance.issuer_of_patient_id,
        "accession_number": instance.accession_number,
        "study_date": instance.study_date,
    }
    connection.execute(_ADD_STUDY, first if due_at is None else {**first, "due_at": due_at, "priority": int(priority)})


def _received(instance: records.Instance) -> records.Event:
    what = f"{instance.standard_view or 'instance'} {instance.sop_instance_uid}"
    return records.Event(
        study_instance_uid=instance.study_instance_uid,
        revision=0,
        at=instance.received_at,
        stage="receive",
        text=f"received {what} ({instance.size_bytes} bytes) from {instance.calling_ae_title}",
    )
