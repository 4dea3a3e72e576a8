"""C-STORE into the node: real associations on loopback, with pynetdicom and dcmtk as senders.

All of it holds for both readers of associations (`network.upper_layer`).
"""

from __future__ import annotations

import io
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from storage.records import StudyState
from tests.support import require_tool
from tests.support_exams import STUDY, as_file, exam, view
from tests.support_receiving import MG, Receiving, associate, receivers, send


@pytest.fixture(params=["fast", "stock"])
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[object]:
    with receivers(tmp_path, request.param) as build:
        yield build


@pytest.fixture
def node(make) -> Receiving:
    return make()


def test_what_was_answered_with_success_is_on_disk_byte_for_byte_and_in_the_index(node: Receiving) -> None:
    dataset = view()
    (status,) = send(node, dataset)
    assert status.Status == 0x0000
    held = node.index.instance(dataset.SOPInstanceUID)
    assert held is not None
    assert (held.standard_view, held.to_read, held.calling_ae_title) == ("R CC", True, "PACS")
    content = node.store.read(held.path, held.sha256)
    assert data_set(content) == data_set(as_file(dataset)), "the data set was re-encoded on its way"


def data_set(file: bytes) -> bytes:
    """A DICOM file without preamble and File Meta Information, whose length stands in its first element."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_the_same_image_again_is_a_success_that_changes_nothing(node: Receiving) -> None:
    assert [s.Status for s in send(node, view(), view())] == [0, 0]
    assert len(node.index.instances(STUDY)) == 1
    assert len([event for event in node.index.events(STUDY) if event.stage == "receive"]) == 1
    assert node.index.asides() == []


def test_other_content_under_a_held_uid_is_kept_aside_and_the_original_stays(node: Receiving) -> None:
    first, second = view(), view(PatientName="Another^Woman")
    statuses = send(node, first, second, second)
    assert [s.Status for s in statuses] == [0x0000, 0xB000, 0xB000]
    assert "kept aside" in statuses[1].ErrorComment
    held = node.index.instance(first.SOPInstanceUID)
    assert dcmread(node.store.path(held.path)).PatientName == first.PatientName
    (aside,) = node.index.asides()
    assert dcmread(node.store.path(aside.path)).PatientName == second.PatientName


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({"StudyInstanceUID": "1.2.03"}, 0xC000),
        ({"StudyInstanceUID": "../../etc/passwd"}, 0xC000),
        ({"StudyInstanceUID": None}, 0xC000),
        ({"SeriesInstanceUID": ""}, 0xC000),
    ],
)
def test_an_unusable_uid_is_refused_with_its_element_and_the_bytes_are_kept(
    node: Receiving, elements: dict[str, object], status: int
) -> None:
    dataset = view(**elements)
    (answer,) = send(node, dataset)
    assert answer.Status == status
    assert next(iter(elements)) in answer.ErrorComment
    (aside,) = node.index.asides()
    assert node.store.path(aside.path).stat().st_size > 640 * 512 * 2
    assert node.index.studies() == []


def test_a_data_set_that_is_not_what_the_command_says_is_refused(node: Receiving) -> None:
    association = associate(node)
    dataset = view()
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"

    request = C_STORE()  # the one way to say one UID and send another
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = MG, "1.2.3.4"
    request.DataSet = io.BytesIO(encode(dataset, False, True))
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert answer.Status == 0xA900
    assert len(node.index.asides()) == 1


def test_an_sop_class_that_no_rule_takes_is_refused(node: Receiving) -> None:
    (answer,) = send(node, view(SOPClassUID=CTImageStorage, Modality="CT"))
    assert answer.Status == 0x0122


def test_the_disk_below_its_watermark_refuses_with_a700_and_recovers(make, tmp_path: Path) -> None:
    storage = {
        "database_url": f"sqlite:///{tmp_path}/node.sqlite",
        "object_folder": str(tmp_path / "objects"),
        "minimum_free_bytes": 10**18,
    }
    full = make(storage=storage)
    (answer,) = send(full, view())
    assert answer.Status == 0xA700
    assert full.index.instance(view().SOPInstanceUID) is None
    roomy = make(storage={**storage, "minimum_free_bytes": 0})
    assert send(roomy, view())[0].Status == 0


def test_callers_are_checked_by_title_and_address(make) -> None:
    node = make(callers=[{"ae_title": "PACS", "address": "127.0.0.0/8"}, {"ae_title": "FAR", "address": "192.0.2.7"}])
    allowed = associate(node)
    assert allowed.is_established
    allowed.release()
    assert associate(node, calling="STRANGER").is_rejected
    assert associate(node, calling="FAR").is_rejected


def test_another_called_ae_title_is_rejected(node: Receiving) -> None:
    assert associate(node, called="SOMEONE_ELSE").is_rejected


def test_one_caller_cannot_take_every_association(make) -> None:
    node = make(network={"maximum_associations": 4, "maximum_associations_per_caller": 2, "reserved_associations": 0})
    mine = [associate(node, calling="GREEDY") for _ in range(2)]
    assert all(association.is_established for association in mine)
    assert associate(node, calling="GREEDY").is_rejected
    other = associate(node, calling="PACS")
    assert other.is_established
    other.release()
    mine[0].release()
    again = associate(node, calling="GREEDY")
    assert again.is_established, "a released association still counts"
    for association in (again, mine[1]):
        association.release()


def test_the_last_associations_are_not_for_an_address_that_has_some(make) -> None:
    node = make(network={"maximum_associations": 3, "maximum_associations_per_caller": 3, "reserved_associations": 1})
    mine = [associate(node, calling=f"GREEDY{number}") for number in range(2)]
    assert all(association.is_established for association in mine)
    assert associate(node, calling="GREEDY3").is_rejected, "one address under many titles took all there are"
    other = associate(node, calling="GREEDY4", address="127.0.0.2")
    assert other.is_established
    for association in (*mine, other):
        association.release()


def test_compressed_syntaxes_are_preferred_to_uncompressed_ones(node: Receiving) -> None:
    association = associate(node, contexts=[(MG, [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLosslessSV1])])
    assert association.accepted_contexts[0].transfer_syntax == [JPEGLosslessSV1]
    association.release()


def test_several_associations_at_once_lose_nothing(node: Receiving) -> None:
    exams = [exam(study=f"{STUDY}.{number}") for number in range(6)]
    answers: list[int] = []

    def sender(datasets: list[Dataset]) -> None:
        answers.extend(status.Status for status in send(node, *datasets))

    threads = [threading.Thread(target=sender, args=(datasets,)) for datasets in exams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 24
    assert all(len(node.index.instances(datasets[0].StudyInstanceUID)) == 4 for datasets in exams)


def test_an_aborted_association_keeps_what_was_answered(node: Receiving) -> None:
    association = associate(node)
    assert association.send_c_store(view()).Status == 0
    association.abort()
    assert node.index.instance(view().SOPInstanceUID) is not None


def test_a_silent_connection_does_not_keep_others_out(node: Receiving) -> None:
    with socket.create_connection(("127.0.0.1", node.port)):
        assert send(node, view())[0].Status == 0


def test_four_views_are_whole_after_the_grace_and_fewer_wait_for_quiet(node: Receiving) -> None:
    send(node, *exam(study=f"{STUDY}.4"))
    send(node, *exam(study=f"{STUDY}.3")[:3])
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert node.index.due_studies(soon) == [f"{STUDY}.4"]
    later = datetime.now(UTC) + timedelta(seconds=3)
    assert set(node.index.due_studies(later)) == {f"{STUDY}.3", f"{STUDY}.4"}


def test_an_open_association_may_bring_a_repeat_until_it_turns_to_another_study(node: Receiving) -> None:
    one, other = exam(study=f"{STUDY}.1"), exam(study=f"{STUDY}.2")
    association = associate(node)
    for dataset in one:
        association.send_c_store(dataset)
    assert node.index.due_studies(datetime.now(UTC) + timedelta(seconds=1)) == []
    association.send_c_store(other[0])
    assert node.index.due_studies(datetime.now(UTC) + timedelta(seconds=1)) == [f"{STUDY}.1"]
    association.release()


def test_storing_without_reading_is_a_rule(make) -> None:
    rules = [{"name": "keep", "when": {"modality": "MG"}, "action": "store"}]
    node = make(routing=rules)
    assert send(node, view())[0].Status == 0
    assert node.index.study(STUDY).state is StudyState.STORED


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.1.2.1", "MG"),  # For Processing
        ("1.2.840.10008.5.1.4.1.1.13.1.3", "MG"),  # breast tomosynthesis
        ("1.2.840.10008.5.1.4.1.1.7", "OT"),  # secondary capture
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
    ],
)
def test_what_a_pacs_sends_along_with_mammograms_is_taken(node: Receiving, sop_class: str, modality: str) -> None:
    (answer,) = send(node, view(SOPClassUID=sop_class, Modality=modality))
    assert answer.Status == 0x0000
    held = node.index.instance(view().SOPInstanceUID)
    assert held.to_read is (modality == "MG")
    assert held.standard_view == "", "only what can be read counts towards the four views"


def test_dcmtk_echoscu_storescu_and_dcmsend(node: Receiving, tmp_path: Path) -> None:
    paths = []
    for dataset in exam():
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(dataset))
        paths.append(str(path))
    port = str(node.port)
    called = ["-aec", "MAMMO_NODE", "127.0.0.1", port]
    subprocess.run([require_tool("echoscu"), *called], check=True, timeout=30)
    subprocess.run([require_tool("storescu"), *called, *paths[:2]], check=True, timeout=30)
    subprocess.run([require_tool("dcmsend"), *called, *paths[2:]], check=True, timeout=30)
    assert {i.standard_view for i in node.index.instances(STUDY)} == {"R CC", "L CC", "R MLO", "L MLO"}
    wrong = subprocess.run(
        [require_tool("echoscu"), "-aec", "WRONG", "127.0.0.1", port], check=False, capture_output=True, timeout=30
    )
    assert wrong.returncode != 0
