"""C-FIND, C-MOVE and C-GET of the node: what matches, in which letters, with which statuses and counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt

from node.dimse.query_scp import FIND, GET, MOVE
from tests.support_commitment import peer_settings
from tests.support_exams import exam, view
from tests.support_query import Answering, associate, found, keys
from tests.support_web import compressed

MG, SC = DigitalMammographyXRayImageStorageForPresentation, SecondaryCaptureImageStorage
SAMI, LATIN, GREEK = "1.2.51", "1.2.52", "1.2.53"
SMALL = {"Rows": 16, "Columns": 16}


class Target:
    """A C-MOVE's destination; it answers with the next status of its script."""

    def __init__(self) -> None:
        self.port = 0
        self.script: list[int] = []
        self.stored: list[Dataset] = []

    def store(self, event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.stored.append(dataset)
        return self.script.pop(0) if self.script else 0x0000


@contextmanager
def listening() -> Iterator[Target]:
    target, ae = Target(), AE("TARGET")
    ae.add_supported_context(MG, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, target.store)])
    target.port = int(server.server_address[1])
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with listening() as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, target: Target) -> Iterator[Answering]:
    peers = {"T": peer_settings(target.port, "TARGET"), "GONE": peer_settings(1, "GONE")}
    made = Answering(tmp_path_factory.mktemp("answering"), peers=peers, query={"maximum_results": 6})
    made.put(*exam(SAMI, PatientName="Ødegård^Áŋŋá", PatientID="S", StudyDate="20260105", StudyTime="0930", **SMALL))
    made.put(*exam(LATIN, PatientName="Sæther^Åse", PatientID="L", StudyDate="20250105", **SMALL)[:2])
    made.put(view(1, study=GREEK, PatientName="Papadopoulou^Eleni", PatientID="G", StudyDate="", **SMALL))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def forgotten(target: Target) -> None:
    target.stored.clear()
    target.script.clear()


@pytest.mark.parametrize(
    ("asked", "studies"),
    [
        ({"PatientName": "odegard^*"}, {SAMI}),
        ({"PatientName": "S?ther^*", "SpecificCharacterSet": "ISO_IR 192"}, {LATIN}),
        ({"PatientName": "SÆTHER^åse", "SpecificCharacterSet": "ISO_IR 100"}, {LATIN}),
        ({"PatientID": "G"}, {GREEK}),
        ({"PatientID": "g"}, set()),
        ({"StudyDate": "20250101-20251231"}, {LATIN}),
        ({"StudyDate": "-20260105"}, {SAMI, LATIN}),
        ({"StudyInstanceUID": [SAMI, GREEK]}, {SAMI, GREEK}),
        ({"StudyInstanceUID": ""}, {SAMI, LATIN, GREEK}),
        ({"ModalitiesInStudy": "MG"}, {SAMI, LATIN, GREEK}),
        ({"ModalitiesInStudy": "SR"}, set()),
        ({"StudyDescription": "*"}, {SAMI, LATIN, GREEK}),
        ({"AccessionNumber": "A1", "PatientSex": "F"}, {SAMI, LATIN, GREEK}),
    ],
)
def test_studies_match_in_every_way_of_matching(node: Answering, asked: dict[str, Any], studies: set[str]) -> None:
    matches, _, last = found(node.port, keys(**{"StudyInstanceUID": "", **asked}))
    assert {match.StudyInstanceUID for match in matches} == studies
    assert last.Status == 0x0000


def test_an_answer_has_what_was_asked_for_and_where_to_get_it(node: Answering) -> None:
    asked = keys(StudyInstanceUID=SAMI, PatientBirthDate="", NumberOfStudyRelatedInstances="", StudyDescription="")
    ((match,), (status,), _) = found(node.port, asked)
    assert (match.PatientBirthDate, match.NumberOfStudyRelatedInstances) == ("19660101", 4)
    assert (match.QueryRetrieveLevel, match.RetrieveAETitle) == ("STUDY", "MAMMO_NODE")
    assert "StudyDescription" in match, "asked for and empty"
    assert "PatientName" not in match, "not asked for"
    assert status == 0xFF00


@pytest.mark.parametrize(
    ("study", "asked_in", "answered_in"),
    [
        (LATIN, "ISO_IR 100", "ISO_IR 100"),
        (LATIN, "ISO_IR 192", "ISO_IR 192"),
        (LATIN, None, "ISO_IR 100"),
        (SAMI, "ISO_IR 100", "ISO_IR 192"),
        (GREEK, None, None),
    ],
)
def test_names_come_back_whole_in_the_askers_letters_where_they_suffice(
    node: Answering, study: str, asked_in: str | None, answered_in: str | None
) -> None:
    identifier = keys(StudyInstanceUID=study, PatientName="")
    if asked_in:
        identifier.SpecificCharacterSet = asked_in
    ((match,), _, _) = found(node.port, identifier)
    names = {SAMI: "Ødegård^Áŋŋá", LATIN: "Sæther^Åse", GREEK: "Papadopoulou^Eleni"}
    assert match.get("SpecificCharacterSet") == answered_in
    assert str(match.PatientName) == names[study]


def test_series_and_images_are_found_below_their_study(node: Answering) -> None:
    ((series,), _, _) = found(node.port, keys("SERIES", StudyInstanceUID=SAMI, SeriesInstanceUID="", Modality="MG"))
    assert series.SeriesInstanceUID == f"{SAMI}.0"
    images = keys("IMAGE", StudyInstanceUID=SAMI, SeriesInstanceUID=f"{SAMI}.0", SOPInstanceUID="", ViewPosition="MLO")
    matches, _, _ = found(node.port, images)
    assert {match.SOPInstanceUID for match in matches} == {f"{SAMI}.3", f"{SAMI}.4"}


def test_keys_that_are_not_supported_are_ignored_and_that_is_said(node: Answering) -> None:
    matches, statuses, _ = found(node.port, keys(StudyInstanceUID=SAMI, PatientMotherBirthName="X"))
    assert (len(matches), statuses) == (1, [0xFF01])


@pytest.mark.parametrize(
    ("identifier", "told"),
    [
        (keys("PATIENT", PatientID=""), "QueryRetrieveLevel"),
        (keys("SERIES", SeriesInstanceUID=""), "StudyInstanceUID"),
        (keys("IMAGE", StudyInstanceUID=SAMI, SOPInstanceUID=""), "SeriesInstanceUID"),
        (keys(StudyTime="noon"), "StudyTime"),
    ],
)
def test_a_query_that_cannot_be_understood_is_refused(node: Answering, identifier: Dataset, told: str) -> None:
    matches, _, last = found(node.port, identifier)
    assert (matches, last.Status) == ([], 0xA900)
    assert told in last.ErrorComment


def test_more_matches_than_the_limit_end_with_out_of_resources(node: Answering) -> None:
    node.put(*(view(1, study=f"1.2.60.{number}", PatientID="MANY", **SMALL) for number in range(7)))
    matches, _, last = found(node.port, keys(PatientID="MANY", StudyInstanceUID=""))
    assert (len(matches), last.Status) == (6, 0xA700)
    assert "narrow" in last.ErrorComment


def test_a_query_is_cancelled(node: Answering) -> None:
    node.put(*(view(1, study=f"1.2.61.{number}", PatientID="SOME", **SMALL) for number in range(6)))
    association = associate(node.port)
    answers = association.send_c_find(keys(PatientID="SOME", StudyInstanceUID=""), FIND, msg_id=7)
    association.send_c_cancel(7, query_model=FIND)
    statuses = [int(status.Status) for status, _ in answers]
    association.release()
    assert statuses[-1] in (0xFE00, 0x0000), "on a fast machine all answers may be under way before the cancel comes"
    assert len(statuses) <= 7


# ---------------------------------------------------------------------- retrieving


def moved(node: Answering, identifier: Dataset, to: str = "TARGET") -> Dataset:
    association = associate(node.port)
    answers = list(association.send_c_move(identifier, to, MOVE))
    association.release()
    return answers[-1][0]


def counts(status: Dataset) -> tuple[int, int, int]:
    return (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


def test_a_study_a_series_and_an_image_are_moved(node: Answering, target: Target) -> None:
    assert counts(moved(node, keys(StudyInstanceUID=SAMI))) == (4, 0, 0)
    assert {each.SOPInstanceUID for each in target.stored} == {f"{SAMI}.{number}" for number in range(1, 5)}
    assert str(target.stored[0].PatientName) == "Ødegård^Áŋŋá"
    series = keys("SERIES", StudyInstanceUID=LATIN, SeriesInstanceUID=f"{LATIN}.0")
    assert counts(moved(node, series)) == (2, 0, 0)
    images = [f"{SAMI}.1", f"{SAMI}.4"]
    image = keys("IMAGE", StudyInstanceUID=SAMI, SeriesInstanceUID=f"{SAMI}.0", SOPInstanceUID=images)
    status = moved(node, image)
    assert (status.Status, counts(status)) == (0x0000, (2, 0, 0))


def test_failures_and_warnings_of_the_destination_are_counted(node: Answering, target: Target) -> None:
    target.script[:] = [0xA700, 0xB000, 0x0000, 0x0000]
    status = moved(node, keys(StudyInstanceUID=SAMI))
    assert (status.Status, counts(status)) == (0xB000, (2, 1, 1))
    target.script[:] = [0xC000, 0xC000]
    assert moved(node, keys(StudyInstanceUID=LATIN)).Status == 0xA702


@pytest.mark.parametrize("to", ["STRANGER", "GONE"])
def test_a_destination_that_is_not_configured_or_not_there_gets_nothing(node: Answering, to: str) -> None:
    assert moved(node, keys(StudyInstanceUID=SAMI), to).Status == 0xA801


def test_nothing_that_matches_is_a_success_of_nothing(node: Answering) -> None:
    status = moved(node, keys(StudyInstanceUID="1.2.99"))
    assert (status.Status, counts(status)) == (0x0000, (0, 0, 0))


def test_a_move_without_its_unique_keys_is_refused(node: Answering) -> None:
    assert 0xC000 <= moved(node, keys("SERIES", SeriesInstanceUID="1.2.3")).Status <= 0xCFFF


def test_a_file_that_is_not_what_was_stored_does_not_go_out(node: Answering, target: Target) -> None:
    node.put(view(1, study="1.2.70", **SMALL), view(2, "L", study="1.2.70", **SMALL))
    path = node.store.path(node.index.instance("1.2.70.1").path)
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    status = moved(node, keys(StudyInstanceUID="1.2.70"))
    assert (status.Status, counts(status)) == (0xB000, (1, 1, 0))
    assert [each.SOPInstanceUID for each in target.stored] == ["1.2.70.2"]


def got(node: Answering, identifier: Dataset, *storage: tuple[str, str]) -> tuple[Dataset, list[tuple[str, str]]]:
    """The last status, and UID and transfer syntax of each object that came on the same association."""
    came: list[tuple[str, str]] = []

    def store(event: evt.Event) -> int:
        came.append((str(event.request.AffectedSOPInstanceUID), str(event.context.transfer_syntax)))
        return 0x0000

    association = associate(node.port, storage=storage, handlers=[(evt.EVT_C_STORE, store)])
    answers = list(association.send_c_get(identifier, GET))
    association.release()
    return answers[-1][0], came


def test_get_sends_each_object_in_its_own_syntax_and_fails_those_that_are_not_accepted(node: Answering) -> None:
    packed = compressed(view(1, study="1.2.80", **SMALL), JPEGLosslessSV1, lambda _values: b"\xff\xd8\xff\xd9")
    capture = view(3, study="1.2.80", SOPClassUID=SC, Modality="OT", **SMALL)
    node.put(packed, view(2, "L", study="1.2.80", **SMALL), capture)
    both = [(MG, JPEGLosslessSV1), (MG, ExplicitVRLittleEndian)]
    status, came = got(node, keys(StudyInstanceUID="1.2.80"), *both)
    assert sorted(came) == [("1.2.80.1", JPEGLosslessSV1), ("1.2.80.2", ExplicitVRLittleEndian)]
    assert (status.Status, counts(status)) == (0xB000, (2, 1, 0)), "secondary capture was not accepted"
    status, came = got(node, keys(StudyInstanceUID="1.2.80"), (MG, [JPEGLosslessSV1, ImplicitVRLittleEndian]))
    assert came == [("1.2.80.2", ImplicitVRLittleEndian)], "of a mixed context the uncompressed one is taken"


def test_get_without_unique_keys_is_refused(node: Answering) -> None:
    status, came = got(node, keys("SERIES", SeriesInstanceUID="1.2.3"), (MG, ExplicitVRLittleEndian))
    assert (status.Status, came) == (0xA900, [])
