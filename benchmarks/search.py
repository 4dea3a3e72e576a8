"""How long searches take among many exams: `python benchmarks/search.py [EXAMS] [DATABASE_URL]`.

Fills an empty database (SQLite in a temporary folder unless a URL is given) with EXAMS exams of one series and one
instance each, and prints the median of what QIDO-RS does for the usual questions.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from node import findable, search
from node.errors import TooBroad
from node.query import Key, Matching
from node.search import Search
from storage.catalogue import Catalogue, Level, _text
from storage.database import Database
from storage.figures import Figures
from storage.index import Index
from storage.records import StudyState
from storage.schema import make_engine
from tests.support_exams import view

_ROOT = "1.2.826.0.1.3680043.10.999.100"
_DAYS = 5500
#: What stands in the template for what differs from exam to exam.
_UID, _PATIENT, _NAME, _DAY, _ACC = f"{_ROOT}.0", "P-here", "Name-here", "19000101", "A-here"
_NUMBERS = (
    "with recursive n(i) as (select 0 union all select i + 1 from n where i < :exams - 1), "
    f"e as (select i, '{_ROOT}.' || i as uid, 'P' || (i % :patients) as patient, 'A' || i as acc, day, "
    "'Family' || (i % 50000) || '^Given' || (i % 997) as name from n join day on day.k = i % 5500) "
)
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
    "insert into study (study_instance_uid, state, revision, failures, jobs, priority, first_received_at, "
    "last_received_at, changed_at, patient_id, issuer_of_patient_id, accession_number, study_date) "
    "select study_instance_uid, 'ANSWERED', 1, 0, 1, 1, :long_ago, :long_ago, :long_ago, patient_id, '', "
    "accession_number, study_date from found_study",
    "insert into result_object (sop_instance_uid, sop_class_uid, study_instance_uid, series_instance_uid, revision, "
    "kind, options, part, path, sha256, size_bytes, created_at, error) "
    "select study_instance_uid || '.2.1', :sop_class, study_instance_uid, study_instance_uid || '.2', 1, "
    "'summary_sc', '', '', 'x', '', 1, :long_ago, '' from found_study",
    "insert into delivery (sop_instance_uid, destination, study_instance_uid, revision, kind, state, attempts, due_at, "
    "last_error, asks, released) select sop_instance_uid, 'pacs', study_instance_uid, 1, kind, 'DELIVERED', 1, "
    "created_at, '', 0, false from result_object",
)


def main() -> None:
    exams = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{Path(folder) / 'node.sqlite'}"
        database = Database(make_engine(url))
        database.create_schema()
        fill(database, exams)
        measure(Catalogue(database), exams)
        watch(database)
        database.engine.dispose()


def fill(database: Database, exams: int) -> None:
    """By SQL alone, which is the only way to put in a million of them in a minute."""
    began = time.monotonic()
    template = findable.entry(
        view(study=_UID, PatientID=_PATIENT, PatientName=_NAME, StudyDate=_DAY, AccessionNumber=_ACC)
    )
    values = {
        "exams": exams,
        "patients": exams // 2,
        "study": _text(template.study),
        "series": _text(template.series),
        "instance": _text(template.instance),
        "sop_class": template.sop_class_uid,
        "long_ago": "2020-01-01 00:00:00+00:00",
    }
    days = [{"k": k, "day": f"{date(2010, 1, 1) + timedelta(days=k):%Y%m%d}"} for k in range(_DAYS)]
    with database.engine.begin() as connection:
        connection.execute(text("create temporary table day (k integer primary key, day varchar(8))"))
        connection.execute(text("insert into day values (:k, :day)"), days)
        for statement in _FILLING:
            names = {name for name in values if f":{name}" in statement}
            connection.execute(text(statement), {name: values[name] for name in names})
    with database.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    print(f"{exams} exams put in, {time.monotonic() - began:.0f} s")


def measure(catalogue: Catalogue, exams: int) -> None:
    uid = f"{_ROOT}.{exams // 3}"
    for told, level, keys in (
        ("patient ID", Level.STUDY, [Key("00100020", "LO", (f"P{exams // 3}",))]),
        ("study date", Level.STUDY, [Key("00080020", "DA", ("20200315",))]),
        ("range of dates", Level.STUDY, [Key("00080020", "DA", ("20200301-20200331",))]),
        ("accession number", Level.STUDY, [Key("00080050", "SH", (f"A{exams // 3}",))]),
        ("study UID", Level.STUDY, [Key("0020000D", "UI", (uid,))]),
        ("name family*", Level.STUDY, [Key("00100010", "PN", ("FAMILY4711*",))]),
        ("nothing, page 1", Level.STUDY, []),
        ("nothing, page 50", Level.STUDY, []),
        ("date and modality", Level.STUDY, [Key("00080020", "DA", ("20200315",)), Key("00080061", "CS", ("MG",))]),
        ("patient ID, instances", Level.INSTANCE, [Key("00100020", "LO", (f"P{exams // 3}",))]),
        ("name *part*", Level.STUDY, [Key("00100010", "PN", ("*ily4711^*",))]),
        ("study description", Level.STUDY, [Key("00081030", "LO", ("*nowhere*",))]),
        ("study time", Level.STUDY, [Key("00080030", "TM", ("09-10",))]),
    ):
        offset = 5000 if told.endswith("50") else 0
        asked = Search(level=level, keys=tuple(keys), matching=Matching(combined=True), limit=101, offset=offset)
        try:
            count = len(search.search(catalogue, asked).matches)
        except TooBroad as error:
            print(f"{told:25} {error}")
            continue
        took = [timed(lambda asked=asked: search.search(catalogue, asked)) for _ in range(7)]
        wall, cpu = (statistics.median(each[which] * 1000 for each in took) for which in (0, 1))
        fastest = min(each[0] for each in took) * 1000
        print(f"{told:25} {wall:9.1f} ms, fastest {fastest:9.1f}, CPU here {cpu:7.1f}; {count} matches")


def watch(database: Database) -> None:
    """What `exams` and `status` ask."""
    index, figures = Index(database), Figures(database)
    asked: dict[str, Callable[[], object]] = {
        "first page of exams": lambda: index.studies(limit=100),
        "exams in a state": lambda: index.studies([StudyState.ANSWERED], 100),
        "exams that are whole": lambda: index.due_studies(datetime.now(UTC)),
        "exams by state": index.tallies.studies,
        "deliveries, counted": index.tallies.deliveries,
        "oldest delivery": figures.oldest_deliveries,
        "last errors": figures.last_errors,
    }
    for told, ask in asked.items():
        took = [timed(ask)[0] * 1000 for _ in range(7)]
        print(f"{told:25} {statistics.median(took):9.1f} ms, fastest {min(took):9.1f}")


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds; on a busy machine the second says more (of a database that runs in this process)."""
    began, cpu = time.monotonic(), time.process_time()
    what()
    return time.monotonic() - began, time.process_time() - cpu


if __name__ == "__main__":
    main()
