"""What messages say is kept alike on both databases; whatever bytes come, there is an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from sqlalchemy import Engine

from node.hl7.acknowledged import judged, masked
from node.hl7.acknowledging import acknowledged
from node.hl7.er7 import Message, Unreadable
from node.hl7.said import NotTaken, said
from storage.database import Database
from storage.hl7 import Hl7Record, Order, PatientChange
from storage.schema import make_engine
from tests.support_fuzz import KINDS, Edit, spoiled
from tests.support_postgres import Postgres

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SEEDS = [
    b"MSH|^~\\&|RIS|H|N|U|20261201||ORM^O01|1|P|2.3\rPID|1||1^^^H\rORC|NW|||||||^^^^^S\rOBR|1|||||||||||||||||A1\r",
    b"MSH|^~\\&|RIS|H|N|U|20261201||OMI^O23^OMI_O23|2|P|2.5.1||||||UNICODE UTF-8\rOBR|1\rIPC|A1|R1|1.2.3\r",
    "MSH|^~\\&|RIS|H|N|U||| ADT^A08|3|P|2.5||||||8859/1\rPID|1||1^^^H~2||Sæ\\T\\r^Å\\X41\\||1966\r".encode("latin-1"),
    b"MSH|^~\\&|RIS|H|N|U|||ADT^A40|4|P|2.5\rPID|1||1^^^H&1.2&ISO\rMRG|2^^^H\rPID|2||3\rMRG|4~5\r",
]
EDITS = some.lists(
    some.builds(Edit, some.sampled_from(KINDS), some.floats(0, 1), some.binary(min_size=1, max_size=8)), max_size=6
)


@pytest.fixture(params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hl7Record]:
    engine: Engine
    if request.param == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        engine = make_engine(server.new_database(tmp_path.name))
    database = Database(engine)
    database.create_schema()
    yield Hl7Record(database)
    engine.dispose()


def test_what_is_kept_and_for_how_long(record: Hl7Record) -> None:
    record.answered("RIS|H", "1", "aa", "first", NOW)
    assert record.answer("RIS|H", "1", "aa") == "first"
    assert record.answer("RIS|H", "1", "bb") is None, "other content under the same number"
    assert record.answer("EHR|H", "1", "aa") is None, "another sender's"
    for uid, accession, urgent in (("1.2", "A1", True), ("", "A2", True), ("1.3", "A3", True), ("1.3", "A3", False)):
        record.order(Order(study_instance_uid=uid, accession_number=accession, urgent=urgent), NOW)
    assert record.is_urgent("1.2", "")
    assert record.is_urgent("1.9", "A2")
    assert not record.is_urgent("1.9", "A1"), "that order names another study"
    assert not record.is_urgent("1.3", "A3"), "it is not any more"
    assert not record.is_urgent("1.9", "")
    record.change(PatientChange(patient_id="P", issuer_of_patient_id="N", merged=True), NOW - 2 * DAY)
    corrected = PatientChange(patient_id="P", issuer_of_patient_id="N", patient_name="Sæther^Ánná")
    record.change(corrected, NOW)
    assert record.changes("P", "N") == record.changes("P", "") == [corrected], "the last that was said"
    assert record.changes("P", "S") == record.changes("", "N") == []
    record.forget(NOW - DAY, NOW - DAY)
    assert record.answer("RIS|H", "1", "aa") == "first"
    record.forget(NOW + DAY, NOW + DAY)
    assert (record.answer("RIS|H", "1", "aa"), record.is_urgent("1.2", ""), record.changes("P", "N")) == (
        None,
        False,
        [],
    )


@settings(max_examples=400, suppress_health_check=list(HealthCheck), phases=[Phase.generate], deadline=None)
@given(content=some.sampled_from(SEEDS), edits=EDITS)
def test_whatever_comes_is_understood_or_answered_with_an_error(content: bytes, edits: list[Edit]) -> None:
    try:
        message = Message(spoiled(content, edits))
    except Unreadable:
        return
    fault = None
    try:
        said(message, ("S",))
    except NotTaken as error:
        fault = error
    answer = Message(acknowledged(message, NOW, fault).encode())
    assert answer.get("MSA", 1) == (fault.code if fault else "AA")
    judged(message, ["1"])


def test_each_seed_is_taken() -> None:
    counts = [(len(found.orders), len(found.changes)) for found in (said(Message(each), ("S",)) for each in SEEDS)]
    assert counts == [(1, 0), (1, 0), (0, 2), (0, 3)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Sæther, ÁNNÁ is unknown", "…, … is unknown"),
        ("ID 19660101-12345 and 01.01.1966 and 123456", "ID … and … and …"),
        ("error 207 in OBX 12, 5 of 9", "error 207 in OBX 12, 5 of 9"),
        ("line\nbreak\x1b[31m", "line break [31m"),
    ],
)
def test_what_stays_of_a_receivers_words(text: str, left: str) -> None:
    assert masked(text, ["Sæther^Ánná", "19660101-12345", ""]) == left
