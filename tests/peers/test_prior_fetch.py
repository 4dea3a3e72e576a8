"""Earlier exams are fetched from Orthanc before an exam is read; one that cannot be had costs a line.

So is the exam of a work item.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time

import pytest

from node.earlier_exams import EarlierExams
from node.examinations.prefetching import Prefetching
from node.settings import PriorSource
from node.simulator.pacs import free_port
from node.ups.attributes import made
from storage.records import StudyState
from storage.worklist import Expected, Worklist
from tests.support import wait_until
from tests.support_commitment import peer_settings
from tests.support_exams import as_file, settings
from tests.support_peers import orthanc
from tests.support_screening import ROOT, Screening, round_of, screening_node
from tests.support_ups import Dimse, dimse, workitem


@pytest.fixture(scope="module")
def screening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screening]:
    """A node that knows one Orthanc twice: as a PACS of the last years, by C-MOVE, and as an old archive, by C-GET."""
    folder, port = tmp_path_factory.mktemp("screening"), free_port()
    node_at = {"AET": "MAMMO_NODE", "Host": "127.0.0.1", "Port": port, "AllowGet": True}
    with orthanc(folder, DicomModalities={"node": node_at}, DicomAlwaysAllowGet=True) as pacs:
        held = (
            (401, "20240301", "E"),
            (402, "20230301", "E"),
            (403, "20240401", "OTHER"),
            (404, "20180301", "F"),
            (405, "20250301", "G"),
        )
        for number, date, patient in held:
            for dataset in round_of(number, date, PatientID=patient):
                pacs.put(as_file(dataset))
        there = peer_settings(pacs.port, "ORTHANC")
        peers = {
            "GONE": {**peer_settings(free_port(), "GONE"), "priors": {}},
            "PACS": {**there, "priors": {"retrieve": "move", "timeout_s": 60}},
            "OLD": {**there, "priors": {"retrieve": "get", "timeout_s": 60, "years": 20}},
        }
        config = settings(
            folder,
            node={"port": port},
            peers=peers,
            destinations={"out": {"type": "folder", "folder": f"{folder}/out", "results": ["measurement_sr"]}},
            reading={"threads": 1, "strategy": "with_priors"},
        )
        with screening_node(config, folder) as running:
            yield running


def told(screening: Screening, study: str) -> list[str]:
    return [each.text for each in screening.node.index.events(study) if each.stage == "priors"]


def test_the_latest_earlier_exam_of_hers_is_moved_here_and_compared_with(screening: Screening) -> None:
    reading = screening.read(*round_of(430, "20260302", PatientID="E"))
    assert reading.prior is not None, told(screening, f"{ROOT}.430")
    assert reading.prior.study_instance_uid == f"{ROOT}.401"
    notes = told(screening, f"{ROOT}.430")
    assert "GONE: cannot be asked for earlier exams" in notes[0]
    assert notes[1:] == [f"PACS: earlier exam {ROOT}.401: 4 images came"], "then nobody else is asked"
    prior = screening.node.index.study(f"{ROOT}.401")
    assert prior.state is StudyState.STORED, "it is compared with, and not read as an exam"
    assert screening.node.outbox.results(f"{ROOT}.401") == []
    assert screening.node.index.study(f"{ROOT}.402") is None, "one prior was wanted"


def test_the_next_one_is_asked_where_one_has_none(screening: Screening) -> None:
    reading = screening.read(*round_of(431, "20260303", PatientID="F"))
    assert reading.prior is not None, told(screening, f"{ROOT}.431")
    assert reading.prior.study_instance_uid == f"{ROOT}.404"
    notes = told(screening, f"{ROOT}.431")
    assert notes[1:] == ["PACS: has no earlier exam of her", f"OLD: earlier exam {ROOT}.404: 4 images came"]


def test_an_earlier_exam_of_a_woman_on_the_worklist_is_here_before_her_images(screening: Screening) -> None:
    node, now = screening.node, datetime.now().astimezone()
    worklist = Worklist(node.database)
    to_come = scheduled_exam(450, "G", now)
    worklist.keep([to_come, scheduled_exam(451, "NOBODY", now), scheduled_exam(452, "", now)], now)
    prefetching = Prefetching(node.config, worklist, EarlierExams(node.config, node.index, node.intake))
    assert prefetching.round(now) == 1
    assert len(node.index.instances(f"{ROOT}.405")) == 4
    assert node.index.study(f"{ROOT}.405").state is StudyState.STORED
    assert prefetching.round(now) == 0, "it is asked for once"
    today = now.strftime("%Y%m%d")
    reading = screening.read(*round_of(450, today, PatientID="G"))
    assert reading.prior is not None
    assert reading.prior.study_instance_uid == f"{ROOT}.405"
    assert told(screening, f"{ROOT}.450") == [], "nobody was asked when the exam was whole"


def scheduled_exam(number: int, patient: str, at: datetime) -> Expected:
    return Expected(
        study_instance_uid=f"{ROOT}.{number}",
        scheduled_procedure_step_id=f"S{number}",
        accession_number="",
        patient_id=patient,
        issuer_of_patient_id="NIN",
        station_ae_title="ROOM1",
        scheduled_at=at,
        urgent=False,
    )


@pytest.mark.parametrize(
    ("hours", "now", "is_open"),
    [
        (None, time(12), True),
        ("08:00-16:00", time(8), True),
        ("08:00-16:00", time(16), False),
        ("19:00-06:00", time(23, 30), True),
        ("19:00-06:00", time(5, 59), True),
        ("19:00-06:00", time(12), False),
    ],
)
def test_a_pacs_is_asked_in_its_hours_only(hours: str | None, now: time, is_open: bool) -> None:
    assert PriorSource(hours=hours).is_open(now) is is_open


def test_the_exam_of_a_work_item_is_fetched_from_the_pacs_that_it_names_and_performed(screening: Screening) -> None:
    study, uid = f"{ROOT}.403", "2.25.403"
    item = workitem(study, PatientID="OTHER", InputInformationSequence=[named(study, "ORTHANC")])
    with dimse(screening.node) as ris:
        assert ris.create(uid, item) == 0x0000
        wait_until(lambda: done(ris, uid), 120, "the item to end")
        _, found = ris.get(uid)
    assert found.ProcedureStepState == "COMPLETED", found
    made_of = {each.sop_instance_uid for each in screening.node.outbox.results(study)}
    series = found.UnifiedProcedureStepPerformedProcedureSequence[0].OutputInformationSequence
    assert {ref.ReferencedSOPInstanceUID for each in series for ref in each.ReferencedSOPSequence} == made_of
    assert len(made_of) == 1


def named(study: str, ae_title: str) -> dict[str, object]:
    return made(
        TypeOfInstances="DICOM", StudyInstanceUID=study, DICOMRetrievalSequence=[made(RetrieveAETitle=ae_title)]
    )


def done(ris: Dimse, uid: str) -> bool:
    _, found = ris.get(uid, "ProcedureStepState")
    return found is not None and found.ProcedureStepState in ("COMPLETED", "CANCELED")
