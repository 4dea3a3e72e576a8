"""The whole way with real peers: images in by dcmtk, results in Orthanc, judged by programs nobody here wrote."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.findings import Category, Reading
from node.app import Node
from node.housekeeping import Housekeeper
from storage.records import DeliveryState, StudyState
from tests.support import JUDGES_ENV, REPOSITORY, absent, require_tool, wait_until
from tests.support_exams import STUDY, as_file, exam, settings, view
from tests.support_peers import Orthanc, orthanc, sent

KINDS = ["mammography_cad_sr", "measurement_sr", "summary_sc"]
CAD_SR = "1.2.840.10008.5.1.4.1.1.88.50"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass
class Hospital:
    node: Node
    pacs: Orthanc
    folder: Path

    def send(self, *datasets: Dataset) -> None:
        sent(datasets, self.folder, self.node.receiver.port)

    def answered(self, study: str = STUDY, revision: int = 1) -> Reading:
        def done() -> bool:
            found = self.node.index.study(study)
            return found is not None and (found.state, found.revision) == (StudyState.ANSWERED, revision)

        wait_until(done, 60, f"revision {revision} of {study} to be answered")
        return Reading.from_json(self.node.outbox.reading(study, revision).reading_json)

    def received(self, study: str = STUDY) -> dict[str, Dataset]:
        """What the PACS holds of a study, by SOP Instance UID."""
        found = (dcmread(io.BytesIO(content)) for content in self.pacs.files())
        return {dataset.SOPInstanceUID: dataset for dataset in found if dataset.StudyInstanceUID == study}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    with orthanc(folder) as pacs:
        config = settings(
            folder,
            peers={"PACS": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.port}},
            destinations={"pacs": {"peer": "PACS", "results": KINDS, "first_retry_s": 0.2}},
            reading={"threads": 1},
        )
        node = Node(config)
        node.start()
        try:
            yield Hospital(node, pacs, folder)
        finally:
            node.stop()


def test_four_views_in_three_objects_back_each_once_with_the_exam_they_are_of(hospital: Hospital) -> None:
    hospital.send(*exam())
    reading = hospital.answered()
    assert reading.category is not Category.NOT_READ
    assert {item.sop_instance_uid for item in reading.inputs} == {f"{STUDY}.{number}" for number in range(1, 5)}
    held = hospital.received()
    assert sorted(dataset.SOPClassUID for dataset in held.values()) == sorted(
        [CAD_SR, COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE]
    )
    assert {item.state for item in hospital.node.outbox.deliveries(STUDY)} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize(
    ("number", "character_set", "name"),
    [("192", "ISO_IR 192", "Ødegård^Åse Čáđŋ"), ("100", "ISO_IR 100", "Sæther^Åshild Bø")],
)
def test_the_patients_identity_comes_back_whole(hospital: Hospital, number: str, character_set: str, name: str) -> None:
    study = f"{STUDY}.{number}"
    images = exam(study, SpecificCharacterSet=character_set, PatientName=name, IssuerOfPatientID="NO", StudyID=" 7")
    hospital.send(*images)
    hospital.answered(study)
    sent = dcmread(io.BytesIO(as_file(images[0])))
    for dataset in hospital.received(study).values():
        assert str(dataset.PatientName) == name
        assert dataset.PatientName.original_string == sent.PatientName.original_string
        for keyword in ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyID"):
            assert dataset[keyword].value == sent[keyword].value, keyword
        assert dataset.AccessionNumber == sent.AccessionNumber
        assert (dataset.StudyDate, dataset.StudyTime) == (sent.StudyDate, sent.StudyTime)


def test_a_missing_view_is_answered_as_not_read_and_never_as_negative(hospital: Hospital) -> None:
    study = f"{STUDY}.3"
    hospital.send(*exam(study)[:3])
    reading = hospital.answered(study)
    assert reading.category is Category.NOT_READ
    assert [reason.code for reason in reading.reasons] == ["VIEWS_MISSING"]
    held = hospital.received(study).values()
    assert len(held) == 3
    cad = next(dataset for dataset in held if dataset.SOPClassUID == CAD_SR)
    summary = next(item for item in cad.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111017")
    assert summary.ConceptCodeSequence[0].CodeValue not in ("111241", "111242"), "reads as a successful analysis"


def test_a_late_image_makes_a_new_revision_that_names_its_predecessor(hospital: Hospital) -> None:
    study = f"{STUDY}.5"
    hospital.send(*exam(study))
    hospital.answered(study)
    first = set(hospital.received(study))
    hospital.send(view(5, "L", "MLO", study=study))
    second = hospital.answered(study, revision=2)
    assert f"{study}.5" in {item.sop_instance_uid for item in second.inputs}, "the later repeat is the one that counts"
    held = hospital.received(study)
    assert len(held) == 6
    later = [dataset for uid, dataset in held.items() if uid not in first and dataset.Modality == "SR"]
    for dataset in later:
        named = dataset.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        assert named.ReferencedSOPInstanceUID in first


def test_the_same_exam_sent_again_changes_nothing(hospital: Hospital) -> None:
    study = f"{STUDY}.6"
    hospital.send(*exam(study))
    hospital.answered(study)
    before = hospital.received(study)
    hospital.send(*exam(study))
    assert hospital.node.index.study(study).state is StudyState.ANSWERED
    assert set(hospital.received(study)) == set(before)


def test_our_own_results_routed_back_to_us_are_taken_and_start_nothing(hospital: Hospital) -> None:
    study = f"{STUDY}.7"
    hospital.send(*exam(study))
    hospital.answered(study)
    hospital.send(*hospital.received(study).values())
    assert hospital.node.index.study(study).revision == 1
    assert len(hospital.node.index.instances(study)) == 4


def test_images_of_two_women_under_one_study_are_held_for_a_person(hospital: Hospital) -> None:
    study = f"{STUDY}.8"
    images = exam(study)
    images[3].PatientID, images[3].PatientName = "P2", "Somebody^Else"
    hospital.send(*images)
    wait_until(lambda: hospital.node.index.study(study).state is StudyState.HELD, 30, "the exam to be held")
    assert hospital.received(study) == {}
    assert "PATIENT_CONFLICT" in hospital.node.index.events(study)[-1].text


def test_two_studies_of_one_woman_are_two_exams(hospital: Hospital) -> None:
    one, other = f"{STUDY}.91", f"{STUDY}.92"
    hospital.send(*exam(one), *exam(other))
    assert hospital.answered(one).study_instance_uid == one
    assert hospital.answered(other).study_instance_uid == other


def test_an_altered_image_file_is_told_and_not_read(hospital: Hospital) -> None:
    study = f"{STUDY}.10"
    images = exam(study)
    hospital.send(*images[:3])
    held = hospital.node.index.instances(study)[0]
    path = hospital.node.store.path(held.path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    hospital.send(images[3])
    reading = hospital.answered(study)
    assert reading.category is Category.NOT_READ
    assert "INSTANCE_UNREADABLE" in [reason.code for reason in reading.left_out]


def test_a_result_whose_file_was_altered_is_told_as_failed_and_never_sent(hospital: Hospital) -> None:
    study = f"{STUDY}.13"
    hospital.send(*exam(study))
    hospital.answered(study)
    node = hospital.node
    for delivery in node.outbox.deliveries(study):
        node.outbox.save_delivery(replace(delivery, state=DeliveryState.FAILED))
    assert node.index.advance(study, 1, {StudyState.ANSWERED: StudyState.UNDELIVERED})
    altered, gone = (
        next(each for each in node.outbox.results(study) if each.kind == kind)
        for kind in ("measurement_sr", "summary_sc")
    )
    node.store.path(altered.path).write_bytes(b"something else")
    node.store.path(gone.path).unlink()
    assert node.orders.requeue(study) == 3

    def told() -> dict[str, tuple[DeliveryState, str]]:
        return {each.kind: (each.state, each.last_error) for each in node.outbox.deliveries(study)}

    wait_until(lambda: node.index.study(study).state is StudyState.UNDELIVERED, 60, "it to be told")
    assert told()["mammography_cad_sr"] == (DeliveryState.DELIVERED, ""), "the whole one goes"
    for kind, what in (("measurement_sr", "was altered"), ("summary_sc", "is missing")):
        state, error = told()[kind]
        assert state is DeliveryState.FAILED
        assert what in error
        assert "requeue --read" in error


class Alone:
    """A worker without others."""

    leads = True


def test_retention_removes_settled_exams_with_their_files_and_nothing_else(hospital: Hospital) -> None:
    settled, open_exam = f"{STUDY}.11", f"{STUDY}.12"
    hospital.send(*exam(settled))
    hospital.answered(settled)
    images = exam(open_exam)
    images[3].PatientID = "P2"
    hospital.send(*images)
    node = hospital.node
    wait_until(lambda: node.index.study(open_exam).state is StudyState.HELD, 30, "the exam to be held")
    paths = [node.store.path(instance.path) for instance in node.index.instances(settled)]
    storage = node.config.storage.model_copy(update={"retention_days": 30})
    kept = node.config.model_copy(update={"storage": storage})
    housekeeper = Housekeeper(node.database, node.store, node.orders, kept, Alone())
    assert housekeeper.retain(datetime.now(UTC)) == 0
    assert housekeeper.retain(datetime.now(UTC) + timedelta(days=31)) >= 1
    assert node.index.study(settled) is None
    assert not any(path.exists() for path in paths)
    assert len(node.index.instances(open_exam)) == 4
    assert all(node.store.path(instance.path).exists() for instance in node.index.instances(open_exam))


def test_every_object_the_pacs_received_passes_the_judges(hospital: Hospital) -> None:
    judges = REPOSITORY.parent / "shared" / "tools" / "judge-results"
    if not judges.exists():
        absent("../shared/tools/judge-results is not beside the repository")
    for tool in ("dciodvfy", "dsrdump", "java"):
        require_tool(tool)
    files = []
    for study in (STUDY, f"{STUDY}.3"):
        for dataset in hospital.received(study).values():
            path = hospital.folder / f"received-{dataset.SOPInstanceUID}.dcm"
            dataset.save_as(path)
            files.append(path)
    assert len(files) == 6
    judged = subprocess.run(
        [sys.executable, judges, *files], capture_output=True, text=True, timeout=280, check=False, env=JUDGES_ENV
    )
    assert judged.returncode == 0, judged.stdout
