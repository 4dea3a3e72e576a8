"""One hospital for the tests in OHIF: exams that a node has read, in a PACS with DICOMweb, and one browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ai.findings import Category, Reading
from ai.phantom import ExamSpec, demo_exams
from node.app import Node
from node.simulator import exams
from node.simulator.exams import MadeExam
from storage.records import DeliveryState, StudyState
from tests.support import wait_until
from tests.support_exams import as_file, settings
from tests.support_ohif import ohif, ohif_files
from tests.support_peers import Orthanc, dcmsend, orthanc
from tests.support_viewer import Viewer, chromium, window

#: Everything the node makes of an exam; the measurement report also per image.
RESULTS = [
    *("mammography_cad_sr", "measurement_sr", "summary_sc", "overlay_sc", "presentation_state", "key_objects"),
    {"kind": "measurement_sr", "per": "image"},
]
#: Exam → the demonstration's exam it is made from, and what the node makes of it.
EXAMS = {
    "positive": ("spiculated mass, left", Category.SUSPICIOUS),
    "negative": ("negative, density D", Category.NEGATIVE),
    "not read": ("three views", Category.NOT_READ),
}
#: An exam that only the PACS has: the negative's images, and its measurement report without any region.
BROKEN = "broken"


@dataclass(frozen=True)
class Hospital:
    """The PACS and the node, and what both hold: made exams, their readings and results, by the names of EXAMS.

    results: "kind" or "kind, part" → object; reports per image are "image_sr, part".
    """

    pacs: Orthanc
    node: Node
    made: dict[str, MadeExam]
    readings: dict[str, Reading]
    results: dict[str, dict[str, Dataset]]

    @property
    def dicomweb(self) -> str:
        """Base URL of the node's DICOMweb."""
        return f"http://127.0.0.1:{self.node.web.port}/dicom-web"

    def pixels(self, exam: str, sop_instance_uid: str) -> np.ndarray:
        """Stored pixels of an image of the exam."""
        image = next(each for each in self.made[exam].images if each.sop_instance_uid == sop_instance_uid)
        return np.asarray(dcmread(image.path).pixel_array)

    def tumours(self, exam: str, sop_instance_uid: str) -> list[np.ndarray]:
        """Where the malignant lesions are on an image of the exam: two corners (column, row) each."""
        truth = json.loads((self.made[exam].images[0].path.parent / "truth.json").read_text(encoding="utf-8"))
        image = next(each for each in truth["images"] if each["sop_instance_uid"] == sop_instance_uid)
        boxes = [box for box in image["lesions"] if box["malignant"]]
        return [np.array([[box["left"], box["top"]], [box["right"], box["bottom"]]]) for box in boxes]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Every exam sent to a node and to the PACS, and the node's results delivered to the PACS."""
    ohif_files()
    folder = tmp_path_factory.mktemp("hospital")
    made = {name: exams.make(_spec(part), folder) for name, (part, _) in EXAMS.items()}
    with orthanc(folder, dicomweb=True) as pacs:
        config = settings(
            folder,
            peers={"PACS": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.port}},
            destinations={"pacs": {"peer": "PACS", "results": RESULTS, "first_retry_s": 0.2}},
            reading={"threads": 1},
            web={"port": 0, "allowed_origins": ["*"]},
        )
        node = Node(config)
        node.start()
        try:
            for exam in made.values():
                _send(exam, node, pacs)
            readings = {name: _answered(exam, node) for name, exam in made.items()}
            results = {name: _results(exam, node) for name, exam in made.items()}
            made[BROKEN], results[BROKEN] = _broken(made["negative"], results["negative"]["measurement_sr"], pacs)
            yield Hospital(pacs, node, made, readings, results)
        finally:
            node.stop()


@pytest.fixture(scope="module")
def viewers(hospital: Hospital) -> Iterator[Callable[[str, str], Viewer]]:
    """(source, exam) → a page with that exam's study open. It is opened once: OHIF takes its time to start."""
    direct, handed_on = {"node": hospital.dicomweb}, {"pacs": hospital.pacs.dicomweb}
    with ohif(direct, handed_on) as url, chromium() as browser, window(browser) as context:

        @cache
        def opened(source: str, exam: str) -> Viewer:
            viewer = Viewer(context.new_page(), url, hospital.dicomweb)
            made = hospital.made[exam]
            made_here = [str(each.SOPInstanceUID) for each in hospital.results[exam].values()]
            received = [each.sop_instance_uid for each in made.images]
            viewer.open(source, made.study_instance_uid, [*received, *made_here])
            return viewer

        yield opened


def _spec(part: str) -> ExamSpec:
    """Coarse, to be quick; without VOI LUT Function (0028,1056): OHIF 3.13.2 shows any image that has it black."""
    spec = next(each for each in demo_exams(1) if each.name.casefold().startswith(part.casefold()))
    return replace(spec, pitch_mm=0.1, voi_lut_function="")


def _send(exam: MadeExam, node: Node, pacs: Orthanc) -> None:
    for image in exam.images:
        pacs.put(image.path.read_bytes())
    dcmsend((image.path for image in exam.images), node.receiver.port)


def _answered(exam: MadeExam, node: Node) -> Reading:
    study = exam.study_instance_uid

    def done() -> bool:
        found, sent = node.index.study(study), node.outbox.deliveries(study)
        answered = found is not None and found.state is StudyState.ANSWERED
        return answered and {each.state for each in sent} == {DeliveryState.DELIVERED}

    wait_until(done, 120, f"the results of '{exam.name}' to be in the PACS")
    return Reading.from_json(node.outbox.reading(study, 1).reading_json)


def _results(exam: MadeExam, node: Node) -> dict[str, Dataset]:
    found = {}
    for each in node.outbox.results(exam.study_instance_uid):
        kind = "image_sr" if '"per": "image"' in each.options else each.kind
        found[f"{kind}, {each.part}".removesuffix(", ")] = dcmread(node.store.path(each.path))
    return found


def _broken(exam: MadeExam, report: Dataset, pacs: Orthanc) -> tuple[MadeExam, dict[str, Dataset]]:
    study, image = f"{exam.study_instance_uid}.9"[-64:], exam.images[0]
    copy, bare = dcmread(image.path), deepcopy(report)
    for dataset in (copy, bare):
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
        dataset.SOPInstanceUID = generate_uid()
    for item in _items(bare):
        if "ContentSequence" in item:
            item.ContentSequence = [each for each in item.ContentSequence if each.ValueType != "SCOORD"]
        for reference in item.get("ReferencedSOPSequence", []):
            reference.ReferencedSOPInstanceUID = copy.SOPInstanceUID
    pacs.put(as_file(copy))
    pacs.put(as_file(bare))
    made = MadeExam(
        name=BROKEN,
        study_instance_uid=study,
        images=(replace(image, sop_instance_uid=str(copy.SOPInstanceUID)),),
        truth="",
    )
    return made, {"measurement_sr": bare}


def _items(item: Dataset) -> list[Dataset]:
    return [item, *(below for child in item.get("ContentSequence", []) for below in _items(child))]
