"""What a RIS schedules (dcmtk's wlmscpfs) and what modalities say they did, against the exams that came."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from node import overview
from node.config import Config
from node.dimse.mpps import SOP_CLASS as MPPS
from node.dimse.worklist import MODALITY_WORKLIST, NoWorklist
from node.examinations import scheduled
from node.examinations.worklist import WorklistKeeper
from node.holdings import Holdings
from node.simulator.pacs import free_port
from storage.database import Database
from storage.records import Priority, StudyState
from storage.schema import make_engine
from storage.worklist import Worklist
from tests.support import Process, listens, require_tool, running, wait_until
from tests.support_exams import as_file, settings
from tests.support_screening import KINDS, ROOT, Screening, round_of, screening_node

NOW = datetime.now(UTC)
NOON = datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)
STEP = f"{ROOT}.77"


def item(number: int, at: datetime, **elements: str) -> Dataset:
    """A worklist item for the exam that `round_of(number, …)` gives."""
    found, step = Dataset(), Dataset()
    values = {
        "SOPClassUID": MODALITY_WORKLIST,
        "SOPInstanceUID": f"2.25.{number}",
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": "A1",
        "PatientID": "P1",
        "IssuerOfPatientID": "NIN",
        "PatientName": "Test^Åse",
        "PatientBirthDate": "19660101",
        "PatientSex": "F",
        "StudyInstanceUID": f"{ROOT}.{number}",
        "RequestedProcedureID": f"R{number}",
        "RequestedProcedureDescription": "screening",
        "RequestedProcedurePriority": "ROUTINE",
        **elements,
    }
    for keyword, value in values.items():
        setattr(found, keyword, value)
    step.Modality, step.ScheduledStationAETitle = "MG", "ROOM1"
    step.ScheduledProcedureStepStartDate = at.astimezone().strftime("%Y%m%d")
    step.ScheduledProcedureStepStartTime = at.astimezone().strftime("%H%M%S")
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = f"S{number}", "screening"
    step.ScheduledPerformingPhysicianName = ""
    found.ScheduledProcedureStepSequence = [step]
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return found


@contextmanager
def ris(folder: Path, items: Sequence[Dataset], port: int | None = None) -> Iterator[int]:
    """dcmtk's worklist server with these items, at a free port or this one; its AE title is RIS."""
    place = folder / "worklist" / "RIS"
    place.mkdir(parents=True)
    (place / "lockfile").touch()
    for number, each in enumerate(items):
        (place / f"{number}.wl").write_bytes(as_file(each))
    port = port or free_port()
    with running(require_tool("wlmscpfs"), "-csk", "-dfp", folder / "worklist", str(port)) as server:
        wait_until(lambda: _listens(server, port), 20, "wlmscpfs to listen")
        yield port


def _listens(server: Process, port: int) -> bool:
    assert server.popen.poll() is None, server.output
    return listens(port)


def config_for(folder: Path, port: int, **worklist: object) -> Config:
    return settings(
        folder,
        peers={"RIS": {"ae_title": "RIS", "host": "127.0.0.1", "port": port}},
        destinations={"out": {"type": "folder", "folder": f"{folder}/out", "results": KINDS}},
        reading={"threads": 1},
        completeness={"quiet_s": 300, "standard_views_grace_s": 0.1},
        worklist={"peer": "RIS", **worklist},
    )


SCHEDULED = (
    item(1, NOON),
    item(2, NOON, RequestedProcedurePriority="HIGH"),
    item(3, NOON, PatientID="P2"),
    item(4, NOW - timedelta(seconds=1), AccessionNumber="A4"),
    item(5, NOON + timedelta(days=-3)),
)


@pytest.fixture(scope="module")
def screening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screening]:
    folder = tmp_path_factory.mktemp("worklist")
    with ris(folder, SCHEDULED) as port:
        config = config_for(folder, port, missing_after_s=0.001)
        with screening_node(config, folder) as node:
            wait_until(lambda: node.node.index and expected(node), 30, "the worklist to be asked at the start")
            yield node


def expected(screening: Screening) -> set[str]:
    """Study Instance UIDs that are scheduled today, as the node keeps them."""
    lines = Holdings.of(screening.node.database).worklist.lines(*scheduled.bounds(NOW.astimezone().date()))
    return {line.expected.study_instance_uid for line in lines}


def state(screening: Screening, number: int) -> StudyState | None:
    found = screening.node.index.study(f"{ROOT}.{number}")
    return found.state if found is not None else None


def history(screening: Screening, number: int) -> str:
    return "\n".join(event.text for event in screening.node.index.events(f"{ROOT}.{number}"))


def test_the_node_keeps_today_s_list(screening: Screening) -> None:
    assert expected(screening) == {f"{ROOT}.{number}" for number in (1, 2, 3, 4)}, "or what another day's list says"


def test_an_exam_that_the_worklist_calls_urgent_is(screening: Screening) -> None:
    for number in (1, 2):
        screening.read(*round_of(number, "20260301"))
    index = screening.node.index
    assert index.study(f"{ROOT}.1").priority is Priority.ROUTINE
    assert index.study(f"{ROOT}.2").priority is Priority.URGENT


def test_another_woman_under_a_scheduled_study_is_held_and_read_only_when_a_person_says_so(
    screening: Screening,
) -> None:
    screening.send(*round_of(3, "20260301"))
    wait_until(lambda: state(screening, 3) is StudyState.HELD, 60, "the exam to be held")
    assert "held for a person: Patient ID is not that of the worklist item" in history(screening, 3)
    assert "P1" not in history(screening, 3), "a patient's ID in a history"
    assert not screening.node.outbox.results(f"{ROOT}.3")
    screening.node.orders.requeue(f"{ROOT}.3", read=True)
    wait_until(lambda: state(screening, 3) is StudyState.ANSWERED, 60, "the exam to be read")


def test_a_scheduled_exam_that_never_came_is_told(screening: Screening) -> None:
    config = screening.node.config
    found = overview.status(config)
    late = overview.missing_today(config, Holdings.of(screening.node.database), datetime.now(UTC))
    assert f"{ROOT}.4" in {line.expected.study_instance_uid for line in late}
    assert found.missing == len(late)
    assert any("never came" in sentence for sentence in found.attention)
    assert f'mammo_node_scheduled_exams{{which="missing"}} {len(late)}.0' in screening.node.metrics.text().decode()


def test_a_worklist_server_that_is_not_there_is_told(screening: Screening, tmp_path: Path) -> None:
    keeper = WorklistKeeper(config_for(tmp_path, free_port()), Worklist(screening.node.database))
    with pytest.raises(NoWorklist, match=r"RIS at 127\.0\.0\.1:\d+ cannot be reached"):
        keeper.ask(NOW)
    assert expected(screening), "what was told before is kept"


@dataclass
class Leading:
    leads: bool


def test_of_several_processes_the_one_that_leads_asks_and_asks_again_when_the_ris_is_back(tmp_path: Path) -> None:
    database = Database(make_engine(f"sqlite:///{tmp_path}/node.sqlite"))
    database.create_schema()
    worklist, leader = Worklist(database), Leading(leads=False)
    start, end = scheduled.bounds(NOW.astimezone().date())
    with ris(tmp_path, SCHEDULED) as port:
        keeper = WorklistKeeper(config_for(tmp_path, port, every_s=0.2), worklist)
        keeper.start(leader)
        time.sleep(1.2)
        assert worklist.lines(start, end) == [], "asked by one that does not lead"
    leader.leads = True  # and the RIS is away
    time.sleep(1.2)
    with ris(tmp_path / "again", SCHEDULED, port):
        wait_until(lambda: bool(worklist.lines(start, end)), 20, "the list after the RIS came back")
    keeper.stop()


# --- what modalities say


@contextmanager
def modality(screening: Screening) -> Iterator[Association]:
    ae = AE("ROOM1")
    ae.add_requested_context(MPPS)
    association = ae.associate("127.0.0.1", screening.node.receiver.port, ae_title="MAMMO_NODE")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def begun(number: int) -> Dataset:
    step, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = f"{ROOT}.{number}", "A1"
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PerformedProcedureStepStatus, step.PerformedStationAETitle = "IN PROGRESS", "ROOM1"
    step.PerformedSeriesSequence = []
    return step


def ended(status: str, images: Sequence[Dataset] = ()) -> Dataset:
    step, series = Dataset(), Dataset()
    series.ReferencedImageSequence = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        series.ReferencedImageSequence.append(reference)
    step.PerformedProcedureStepStatus = status
    step.PerformedSeriesSequence = [series]
    return step


def test_completed_by_the_modality_an_exam_is_whole_when_its_images_are_here(screening: Screening) -> None:
    images = round_of(11, "20260301")[:3]  # a view is missing: without a signal it would wait for 300 s
    uid = f"{STEP}.11"
    with modality(screening) as association:
        assert association.send_n_create(begun(11), MPPS, uid)[0].Status == 0x0000
        screening.send(*images[:2])
        assert association.send_n_set(ended("COMPLETED", images), MPPS, uid)[0].Status == 0x0000
        assert state(screening, 11) is StudyState.RECEIVING, "an image that the modality made is not here yet"
        screening.send(images[2])
        wait_until(lambda: state(screening, 11) is StudyState.ANSWERED, 60, "the exam to be answered")
    assert "the modality says completed, 3 images" in history(screening, 11)
    assert screening.node.outbox.reading(f"{ROOT}.11").category == "NOT_READ"


def test_an_exam_that_was_broken_off_is_told(screening: Screening) -> None:
    stopped = ended("DISCONTINUED")
    reason = Dataset()
    reason.CodeValue, reason.CodingSchemeDesignator, reason.CodeMeaning = "110513", "DCM", "Discontinued"
    stopped.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    with modality(screening) as association:
        association.send_n_create(begun(1), MPPS, f"{STEP}.1")
        assert association.send_n_set(stopped, MPPS, f"{STEP}.1")[0].Status == 0x0000
    assert "the modality says discontinued: Discontinued" in history(screening, 1)


@pytest.mark.parametrize(
    ("uid", "change", "status"),
    [
        (f"{STEP}.21", {"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        (f"{STEP}.22", {"PerformedProcedureStepStatus": "DONE"}, 0x0106),
        (f"{STEP}.23", {"ScheduledStepAttributesSequence": []}, 0x0106),
    ],
)
def test_a_step_that_begins_wrongly_is_refused(
    screening: Screening, uid: str, change: dict[str, object], status: int
) -> None:
    step = begun(20)
    for keyword, value in change.items():
        setattr(step, keyword, value)
    with modality(screening) as association:
        answered = association.send_n_create(step, MPPS, uid)[0]
        assert answered.Status == status
        assert answered.ErrorComment, "a refusal says why"


def test_a_step_is_begun_once_and_not_changed_after_its_end(screening: Screening) -> None:
    with modality(screening) as association:
        uid = f"{STEP}.30"
        assert association.send_n_set(ended("COMPLETED"), MPPS, uid)[0].Status == 0x0112, "it has not begun"
        assert association.send_n_create(begun(30), MPPS, uid)[0].Status == 0x0000
        assert association.send_n_create(begun(30), MPPS, uid)[0].Status == 0x0111
        assert association.send_n_set(ended("DISCONTINUED"), MPPS, uid)[0].Status == 0x0000
        assert association.send_n_set(ended("COMPLETED"), MPPS, uid)[0].Status == 0x0110


# --- the command


def test_the_worklist_command_tells_what_is_missing(screening: Screening, tmp_path: Path) -> None:
    node = screening.node.config
    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "storage": {
                    "database_url": node.storage.database_url,
                    "object_folder": str(node.storage.object_folder),
                },
                "peers": {"RIS": {"ae_title": "RIS", "host": "127.0.0.1", "port": 104}},
                "worklist": {"peer": "RIS", "missing_after_s": 0.001},
            }
        )
    )
    with running(sys.executable, "-m", "node.cli", "worklist", "--json", "--config", path) as command:
        assert command.popen.wait(60) == 1, command.output
    lines = {line["study_instance_uid"]: line for line in json.loads(command.output)}
    assert lines[f"{ROOT}.4"]["missing"]
    assert "P1" not in command.output, "a patient's ID on the screen"
