"""Very many exams in a database, as years of a programme leave them: nearly all finished, a few of every other kind.

By SQL alone, which is the only way to put in a million of them in minutes. Each has one series and one image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

from node import findable
from storage.catalogue import _text
from storage.database import Database
from tests.support_cohort import reading
from tests.support_exams import view

ROOT = "1.2.826.0.1.3680043.10.999.100"
DAYS = 5500
#: What stands in the template for what differs from exam to exam.
_UID, _PATIENT, _NAME, _DAY, _ACC = f"{ROOT}.0", "P-here", "Name-here", "19000101", "A-here"
_NUMBERS = (
    "with recursive n(i) as (select 0 union all select i + 1 from n where i < :exams - 1), "
    f"e as (select i, '{ROOT}.' || i as uid, 'P' || (i % :patients) as patient, 'A' || i as acc, day, "
    f"'Family' || (i % 50000) || '^Given' || (i % 997) as name from n join day on day.k = i % {DAYS}) "
)
#: A number for each study that is the same whenever it is asked for.
_NUMBER = f"cast(substr(study.study_instance_uid, {len(ROOT) + 2}) as integer)"
_FILLING = (
    "insert into found_study (study_instance_uid, patient_id, patient_name, accession_number, study_date, attributes) "
    + _NUMBERS
    + f"select uid, patient, lower(name), acc, day, replace(replace(replace(replace(replace(:study, '{_UID}', uid), "
    f"'{_PATIENT}', patient), '{_NAME}', name), '{_DAY}', day), '{_ACC}', acc) from e",
    "insert into found_series (series_instance_uid, study_instance_uid, modality, attributes) "
    "select study_instance_uid || '.1', study_instance_uid, 'MG', "
    f"replace(:series, '{_UID}', study_instance_uid) from found_study",
    "insert into found_instance (sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid, attributes) "
    "select study_instance_uid || '.1.1', study_instance_uid, study_instance_uid || '.1', :sop_class, "
    f"replace(:instance, '{_UID}', study_instance_uid) from found_study",
    "insert into study (study_instance_uid, state, revision, failures, jobs, priority, due_at, first_received_at, "
    "last_received_at, changed_at, patient_id, issuer_of_patient_id, accession_number, study_date) "
    "select study_instance_uid, 'ANSWERED', 1, 0, 1, 1, null, moment.at, moment.at, moment.at, patient_id, '', "
    "accession_number, study_date from found_study join moment on moment.day = found_study.study_date",
    f"update study set state = case {_NUMBER} / :one_in % 6 when 0 then 'RECEIVING' when 1 then 'READING' "
    "when 2 then 'REPORTING' when 3 then 'HELD' when 4 then 'UNDELIVERED' else 'DELIVERING' end, "
    f"due_at = changed_at where {_NUMBER} % :one_in = 7",
    "insert into instance (sop_instance_uid, sop_class_uid, study_instance_uid, series_instance_uid, "
    "transfer_syntax_uid, path, sha256, size_bytes, received_at, calling_ae_title, to_read, rule, standard_view, "
    "patient_id, issuer_of_patient_id, accession_number, study_date) select study_instance_uid || '.1.1', :sop_class, "
    "study_instance_uid, study_instance_uid || '.1', '1.2.840.10008.1.2.1', 'x', '', 27000000, last_received_at, "
    "'ROOM1', true, 'screening', 'R CC', patient_id, '', accession_number, study_date from study",
    "insert into reading (study_instance_uid, revision, reading_json, category, previews_json, saved_at) "
    "select study_instance_uid, 1, :reading, 'NEGATIVE', '{}', last_received_at from study "
    "where state not in ('RECEIVING', 'READING')",
    "insert into event (study_instance_uid, revision, at, stage, text) "
    "select study_instance_uid, 1, last_received_at, 'read', 'read' from study",
    "insert into result_object (sop_instance_uid, sop_class_uid, study_instance_uid, series_instance_uid, revision, "
    "kind, options, part, path, sha256, size_bytes, created_at, error) "
    "select study_instance_uid || '.2.1', :sop_class, study_instance_uid, study_instance_uid || '.2', 1, "
    "'summary_sc', '', '', 'x', '', 100000, last_received_at, '' from study "
    "where state in ('ANSWERED', 'DELIVERING', 'UNDELIVERED')",
    "insert into delivery (sop_instance_uid, destination, study_instance_uid, revision, kind, state, attempts, due_at, "
    "last_error, asks, released, delivered_at) select made.sop_instance_uid, 'pacs', made.study_instance_uid, 1, "
    "made.kind, case study.state when 'ANSWERED' then 'DELIVERED' when 'DELIVERING' then 'PENDING' else 'FAILED' end, "
    "1, made.created_at, case study.state when 'ANSWERED' then '' else 'refused' end, 0, false, made.created_at "
    "from result_object made join study on study.study_instance_uid = made.study_instance_uid",
    "insert into forward (sop_instance_uid, destination, study_instance_uid, queued, state, attempts, created_at, "
    "due_at, last_error) select sop_instance_uid, 'archive', instance.study_instance_uid, true, "
    "case study.state when 'DELIVERING' then 'PENDING' else 'DELIVERED' end, 1, received_at, received_at, '' "
    "from instance join study on study.study_instance_uid = instance.study_instance_uid",
)


#: Counted table → what its tally has for name, state and bytes.
_COUNTED = {
    "study": ("''", "state", "0"),
    "delivery": ("destination", "state", "0"),
    "forward": ("destination", "state", "0"),
    "reading": ("''", "category", "0"),
    "instance": ("''", "''", "size_bytes"),
    "result_object": ("''", "''", "size_bytes"),
}


@contextmanager
def _in_haste(connection: Connection) -> Iterator[None]:
    """Without triggers, and without care for what a crash would leave; at the end all is as it was."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("set session_replication_role = replica")
        yield
        connection.exec_driver_sql("set session_replication_role = default")
        connection.commit()
        return
    for pragma in ("cache_size = -1000000", "journal_mode = off", "synchronous = off"):
        connection.exec_driver_sql(f"pragma {pragma}")
    triggers = connection.exec_driver_sql("select name, sql from sqlite_master where type = 'trigger'").all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"drop trigger {name}")
    yield
    for _, statement in triggers:
        connection.exec_driver_sql(statement)
    connection.commit()
    connection.exec_driver_sql("pragma journal_mode = wal")
    connection.invalidate()


def fill(database: Database, exams: int, one_in: int = 2000) -> None:
    """Put them into a database that is empty, and have it look at what it holds (ANALYZE).

    one_in: one in so many is not finished.
    """
    template = findable.entry(
        view(study=_UID, PatientID=_PATIENT, PatientName=_NAME, StudyDate=_DAY, AccessionNumber=_ACC)
    )
    values = {
        "exams": exams,
        "one_in": one_in,
        "patients": exams // 2,
        "study": _text(template.study),
        "series": _text(template.series),
        "instance": _text(template.instance),
        "sop_class": template.sop_class_uid,
        "reading": reading(0.1).to_json(),
    }
    days = [date.today() - timedelta(days=k) for k in range(DAYS)]
    began = datetime.now(UTC)
    with database.engine.connect() as connection, _in_haste(connection):
        connection.execute(text("create temporary table day (k integer primary key, day varchar(8))"))
        connection.execute(
            text("insert into day values (:k, :day)"), [{"k": k, "day": f"{day:%Y%m%d}"} for k, day in enumerate(days)]
        )
        kind = "timestamp with time zone" if database.engine.dialect.name == "postgresql" else "datetime"
        connection.execute(text(f"create temporary table moment (day varchar(8) primary key, at {kind})"))
        moments = [f"{began - timedelta(days=k):%Y-%m-%d %H:%M:%S.%f}" for k in range(DAYS)]
        utc = "+00:00" if database.engine.dialect.name == "postgresql" else ""
        connection.execute(
            text("insert into moment values (:day, :at)"),
            [{"day": f"{day:%Y%m%d}", "at": at + utc} for day, at in zip(days, moments, strict=True)],
        )
        for statement in _FILLING:
            names = {name for name in values if f":{name}" in statement}
            connection.execute(text(statement), {name: values[name] for name in names})
        for kind, (name, state, size) in _COUNTED.items():
            connection.execute(
                text(
                    f"insert into tally (kind, name, state, count, size_bytes) select '{kind}', {name}, "
                    f"{state}, count(*), sum({size}) from {kind} group by 2, 3"
                )
            )
        connection.commit()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
