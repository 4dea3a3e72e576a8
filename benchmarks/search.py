"""How long searches take among many exams: `python benchmarks/search.py [EXAMS] [DATABASE_URL]`.

Fills an empty database (SQLite in a temporary folder unless a URL is given) with EXAMS exams of one series and one
instance each, and prints the median of what QIDO-RS does for the usual questions.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import insert, text

from node import findable, search
from node.query import Key, Matching
from node.search import Search
from storage.catalogue import Catalogue, Level, _text
from storage.database import Database
from storage.records import Entry
from storage.schema import FoundInstanceRow, FoundSeriesRow, FoundStudyRow, make_engine
from tests.support_exams import view

_ROOT = "1.2.826.0.1.3680043.10.999.100"


def main() -> None:
    exams = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{Path(folder) / 'node.sqlite'}"
        database = Database(make_engine(url))
        database.create_schema()
        fill(database, exams)
        measure(Catalogue(database), exams)
        database.engine.dispose()


def fill(database: Database, exams: int) -> None:
    began = time.monotonic()
    template = findable.entry(view())
    for entries in chunks(made(template, exams), 20_000):
        with database.transaction() as session:
            for row, values in rows(entries):
                session.execute(insert(row), values)
    with database.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    print(f"{exams} exams put in, {time.monotonic() - began:.0f} s")


def chunks(entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    while chunk := list(islice(entries, size)):
        yield chunk


def made(template: Entry, exams: int) -> Iterator[Entry]:
    for number in range(exams):
        day = f"{date(2010, 1, 1) + timedelta(days=number % 5500):%Y%m%d}"
        uid, patient = f"{_ROOT}.{number}", f"P{number % (exams // 2)}"
        name = f"Family{number % 50_000}^Given{number % 997}"
        study = {
            **template.study,
            "00100020": {"vr": "LO", "Value": [patient]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
            "00080020": {"vr": "DA", "Value": [day]},
            "00080050": {"vr": "SH", "Value": [f"A{number}"]},
            "0020000D": {"vr": "UI", "Value": [uid]},
        }
        yield replace(
            template,
            study_instance_uid=uid,
            series_instance_uid=f"{uid}.1",
            sop_instance_uid=f"{uid}.1.1",
            patient_id=patient,
            patient_name=name.lower(),
            accession_number=f"A{number}",
            study_date=day,
            study=study,
        )


def rows(entries: list[Entry]) -> Iterator[tuple[type, list[dict[str, object]]]]:
    for row, level in ((FoundStudyRow, "study"), (FoundSeriesRow, "series"), (FoundInstanceRow, "instance")):
        names = [column.name for column in row.__table__.columns if column.name != "attributes"]
        yield (
            row,
            [
                {**{name: getattr(entry, name) for name in names}, "attributes": _text(getattr(entry, level))}
                for entry in entries
            ],
        )


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
        ("description, not indexed", Level.STUDY, [Key("00081030", "LO", ("nowhere",))]),
    ):
        offset = 5000 if told.endswith("50") else 0
        asked = Search(level=level, keys=tuple(keys), matching=Matching(combined=True), limit=101, offset=offset)
        count = len(search.search(catalogue, asked).matches)
        took = [timed(lambda asked=asked: search.search(catalogue, asked)) for _ in range(3 if exams > 200_000 else 7)]
        print(f"{told:25} {statistics.median(took) * 1000:9.1f} ms  {count} matches")


def timed(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
