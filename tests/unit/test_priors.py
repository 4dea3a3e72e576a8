"""Which earlier exams count as a woman's own: those of the same identity, nothing contradicting it; newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from ai.findings import PriorComparison, Reading
from ai.reasons import Reason, ReasonCode
from node.config import Config
from node.intake import Incoming, Intake
from node.priors import PriorResult, Priors, earlier_exams
from node.results._text import change_lines, prior_scores
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.records import StoredReading, Study
from storage.schema import make_engine
from tests.support_exams import exam, settings
from tests.support_readings import ALGORITHM, read_exam, report, unread_exam

ROOT = "1.2.826.0.1.3680043.10.999"


class Archive:
    """What a node holds, filled through its one door."""

    def __init__(self, config: Config) -> None:
        self.database = Database(make_engine(config.storage.database_url))
        self.database.create_schema()
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.store = ObjectStore(config.storage.object_folder)
        self.intake = Intake(config, self.index, self.outbox, self.store)
        self.priors = Priors(self.index, self.outbox, self.store)

    def hold(self, number: int, date: str, *, views: int = 4, **elements: object) -> Study:
        """An exam of the woman A of the issuer NIN, unless `elements` say otherwise."""
        given = {"PatientID": "A", "IssuerOfPatientID": "NIN", "StudyDate": date, **elements}
        for dataset in exam(f"{ROOT}.{number}", **given)[:views]:
            self.intake.accept(_incoming(dataset))
        return self.study(number)

    def study(self, number: int) -> Study:
        found = self.index.study(f"{ROOT}.{number}")
        assert found is not None
        return found

    def save(self, reading: Reading, number: int, revision: int = 1) -> None:
        changed = replace(reading, study_instance_uid=f"{ROOT}.{number}", revision=revision)
        now = datetime.now(UTC)
        self.outbox.save_reading(
            StoredReading(
                study_instance_uid=changed.study_instance_uid,
                revision=revision,
                reading_json=changed.to_json(),
                category=changed.category,
                previews={},
                saved_at=now,
            )
        )

    def found(self, study: Study) -> list[str]:
        """Endings of the Study Instance UIDs that are priors of `study`."""
        instances = self.index.instances(study.study_instance_uid)
        return [each.study.study_instance_uid.rpartition(".")[2] for each in self.priors.studies(study, instances)]

    def result(self, study: Study, reading: Reading | None = None) -> PriorResult | None:
        """What a report of `reading` shows beside it."""
        instances = self.index.instances(study.study_instance_uid)
        return self.priors.result(reading or read_exam(), study, instances)


def _incoming(dataset: Dataset) -> Incoming:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return Incoming(
        encoded=memoryview(buffer.getvalue()),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        calling_ae_title="ROOM1",
    )


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(settings(tmp_path))
    yield made
    made.database.engine.dispose()


def test_her_earlier_exams_come_newest_first(archive: Archive) -> None:
    archive.hold(1, "20200301")
    archive.hold(2, "20240301")
    archive.hold(3, "20220301")
    archive.hold(4, "20240301", PatientID="B")
    now = archive.hold(5, "20260301")
    archive.hold(6, "20280301")
    assert archive.found(now) == ["2", "3", "1"]
    assert archive.found(archive.study(1)) == []


@pytest.mark.parametrize(
    "difference",
    [
        {"IssuerOfPatientID": "OTHER"},
        {"IssuerOfPatientID": None},
        {"PatientBirthDate": "19660102"},
        {"PatientSex": "O"},
        {"PatientID": "a"},
    ],
    ids=str,
)
def test_an_exam_that_may_be_another_womans_is_no_prior(archive: Archive, difference: dict[str, object]) -> None:
    archive.hold(1, "20240301", **difference)
    assert archive.found(archive.hold(2, "20260301")) == []
    archive.hold(3, "20240302")
    assert archive.found(archive.study(2)) == ["3"]


def test_one_image_of_another_woman_spoils_a_prior(archive: Archive) -> None:
    archive.hold(1, "20240301", views=3)
    archive.intake.accept(_incoming(exam(f"{ROOT}.1", PatientID="A", IssuerOfPatientID="OTHER")[3]))
    assert archive.found(archive.hold(2, "20260301")) == []


@pytest.mark.parametrize("date", ["20260301", "20260302", ""])
def test_an_exam_of_the_same_day_a_later_one_or_of_no_date_is_no_prior(archive: Archive, date: str) -> None:
    archive.hold(1, date)
    assert archive.found(archive.hold(2, "20260301")) == []


@pytest.mark.parametrize("missing", ["PatientID", "StudyDate"])
def test_without_patient_id_or_date_there_is_no_prior(archive: Archive, missing: str) -> None:
    elements = {"PatientID": "A", missing: ""}
    date = elements.pop("StudyDate", "20260301")
    archive.hold(1, "20240301", **elements)
    assert archive.found(archive.hold(2, date, **elements)) == []


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [("19660101", "19660101", ["1"]), (None, None, []), ("19660101", None, []), (None, "19660101", [])],
)
def test_without_any_issuer_the_birth_dates_must_be_given_and_agree(
    archive: Archive, then: str | None, now: str | None, expected: list[str]
) -> None:
    archive.hold(1, "20240301", IssuerOfPatientID=None, PatientBirthDate=then)
    assert archive.found(archive.hold(2, "20260301", IssuerOfPatientID=None, PatientBirthDate=now)) == expected


def test_with_an_issuer_a_birth_date_that_is_not_given_contradicts_nothing(archive: Archive) -> None:
    archive.hold(1, "20240301", PatientBirthDate=None)
    assert archive.found(archive.hold(2, "20260301")) == ["1"]


def test_an_image_that_was_altered_on_disk_is_not_used(archive: Archive) -> None:
    archive.hold(1, "20240301")
    now = archive.hold(2, "20260301")
    for instance in archive.index.instances(f"{ROOT}.1"):
        archive.store.path(instance.path).write_bytes(b"")
    assert archive.found(now) == []


def test_among_files_too_her_earlier_exams_come_newest_first() -> None:
    def headers(date: str, **elements: object) -> list[Dataset]:
        return exam(f"{ROOT}.1", **{"PatientID": "A", "IssuerOfPatientID": "NIN", "StudyDate": date, **elements})

    first, second, third = headers("20200301"), headers("20220301"), headers("20240301")
    others = [first, third, second, headers("20230301", PatientID="B"), headers(""), headers("20260301")]
    assert earlier_exams(headers("20240302"), others) == [third, second, first]
    assert earlier_exams(headers(""), others) == []


# --- what a report shows


def test_the_latest_exam_that_was_read_is_shown_in_its_latest_revision(archive: Archive) -> None:
    for number, date in ((1, "20200301"), (2, "20220301"), (3, "20240301"), (4, "20250301")):
        archive.hold(number, date)
    archive.save(read_exam(), 1)
    archive.save(read_exam(), 2)
    archive.save(unread_exam(), 3)
    archive.save(read_exam(score=0.3), 2, revision=2)
    found = archive.result(archive.hold(5, "20260301"))
    assert found is not None
    assert found.reading is not None
    assert (found.reading.study_instance_uid, found.reading.revision) == (f"{ROOT}.2", 2)
    assert [str(each.SOPInstanceUID) for each in found.study.headers] == [
        f"{ROOT}.2.{number}" for number in (1, 2, 3, 4)
    ]


def test_an_exam_that_was_not_read_is_shown_where_none_was_read(archive: Archive) -> None:
    archive.hold(1, "20240301")
    now = archive.hold(2, "20260301")
    assert archive.result(now) is None, "an exam without any reading has nothing to show"
    archive.save(unread_exam(), 1)
    found = archive.result(now)
    assert found is not None
    assert found.reading is not None
    assert change_lines(report(read_exam(), prior=(found.reading, "20240301"))) == [
        "Prior exam 2024-03-01 was not read by AI"
    ]


def test_an_exam_that_is_not_read_has_no_change_to_show() -> None:
    """What its prior was must not be taken for an answer to this exam."""
    one = report(unread_exam(), prior=(read_exam(), "20240301"))
    assert change_lines(one) == ["Prior exam 2024-03-01 was read by AI, this one was not"]


def test_what_the_reading_compared_with_comes_before_what_was_read(archive: Archive) -> None:
    archive.hold(1, "20220301")
    archive.hold(2, "20240301")
    archive.save(read_exam(), 2)
    compared = PriorComparison(study_instance_uid=f"{ROOT}.1", study_date="20220301", algorithm=ALGORITHM)
    found = archive.result(archive.hold(3, "20260301"), read_exam(prior=compared))
    assert found is not None
    assert found.study.study.study_instance_uid == f"{ROOT}.1"
    assert found.reading is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"algorithm": replace(ALGORITHM, version="0.0.9")}, "prior read by demo-net 0.0.9"),
        ({"algorithm": replace(ALGORITHM, weights_sha256="00" * 32)}, "prior read with other weights of demo-net"),
        ({"strategy": "with_priors"}, "prior read with strategy with_priors"),
        ({"calibration_version": "2024-01"}, "bands by other calibrations"),
    ],
    ids=["the same", "version", "weights", "strategy", "calibration"],
)
def test_a_prior_read_in_another_way_is_told(changes: dict[str, object], said: str | None) -> None:
    lines = change_lines(report(read_exam(), prior=(read_exam(**changes), "20240301")))
    assert lines[:4] == ["Since 2024-03-01:", "right 1.2 → 1.2 %", "left 1.6 → 1.6 %", "band 3 → 3"]
    assert lines[4:] == ([said] if said else [])


def test_a_prior_that_the_reading_could_not_read_is_told_with_the_reason() -> None:
    reasons = (Reason(ReasonCode.VIEWS_MISSING, detail="L MLO"), Reason(ReasonCode.BREAST_IMPLANT, "1.2.3"))
    compared = PriorComparison(study_instance_uid="1.2.9", study_date="20240301", algorithm=ALGORITHM, reasons=reasons)
    one = report(read_exam(prior=compared))
    assert change_lines(one) == [
        "Prior exam 2024-03-01 could not be read: not all four standard views are readable; breast implant present"
    ]
    assert prior_scores(one) == {}
