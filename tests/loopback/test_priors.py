"""Two rounds of one woman go through a node: the second's results tell the change since the first, and only hers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.exam import ImageLaterality
from ai.findings import Reading
from node.app import Node
from node.destinations import Outgoing
from node.dimse import scu
from node.results._text import percent
from node.settings import Peer
from storage.records import StudyState
from tests.support import wait_until
from tests.support_exams import as_file, exam, settings

KINDS = ["mammography_cad_sr", "measurement_sr", "summary_sc"]
ROOT = "1.2.826.0.1.3680043.10.999"


@dataclass
class Screening:
    """A running node, and how exams get into it and results out."""

    node: Node
    folder: Path

    def read(self, *datasets: Dataset) -> Reading:
        """Send one exam and wait for its answer."""
        study = str(datasets[0].StudyInstanceUID)
        peer = Peer(ae_title="MAMMO_NODE", host="127.0.0.1", port=self.node.receiver.port)
        assert all(sent.error is None for sent in scu.store([self._file(each) for each in datasets], peer, "ROOM1"))

        def answered() -> bool:
            found = self.node.index.study(study)
            return found is not None and found.state is StudyState.ANSWERED

        wait_until(answered, 120, f"{study} to be answered")
        stored = self.node.outbox.reading(study)
        assert stored is not None
        return Reading.from_json(stored.reading_json)

    def results(self, study: str) -> list[Dataset]:
        """The result objects of a study; each kind must have been made."""
        found = self.node.outbox.results(study)
        assert {each.kind for each in found} == set(KINDS)
        assert not any(each.error for each in found)
        return [dcmread(self.node.store.path(each.path)) for each in found]

    def reports(self, study: str) -> list[Dataset]:
        """Both structured reports of a study."""
        return [each for each in self.results(study) if each.Modality == "SR"]

    def _file(self, dataset: Dataset) -> Outgoing:
        path = self.folder / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(dataset))
        return Outgoing(sop_instance_uid=dataset.SOPInstanceUID, sop_class_uid=dataset.SOPClassUID, path=path)


def started(folder: Path, strategy: str) -> Screening:
    results = {"type": "folder", "folder": f"{folder}/out", "results": KINDS}
    config = settings(folder, destinations={"out": results}, reading={"threads": 1, "strategy": strategy})
    node = Node(config)
    node.start()
    return Screening(node, folder)


@pytest.fixture(scope="module")
def screening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screening]:
    running = started(tmp_path_factory.mktemp("screening"), "screening")
    yield running
    running.node.stop()


def round_of(number: int, study_date: str, **elements: object) -> list[Dataset]:
    """An exam whose pixels are its own: a disc in the left breast grows with the number."""
    given = {"IssuerOfPatientID": "NIN", "StudyDate": study_date, "AcquisitionDate": study_date, **elements}
    datasets = exam(f"{ROOT}.{number}", **given)
    for dataset in datasets:
        if dataset.ImageLaterality == "L":
            values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).copy()
            row, column = np.mgrid[: dataset.Rows, : dataset.Columns]
            values[(row - 300) ** 2 + (column - 150) ** 2 < (10 + number % 100) ** 2] += 900
            dataset.PixelData = values.tobytes()
    return datasets


def said(report: Dataset) -> str:
    """Every text of a report's tree."""
    return " ".join(str(item.value) for item in report.iterall() if item.keyword == "TextValue")


def other_evidence(report: Dataset) -> dict[str, set[str]]:
    """Study Instance UID → SOP Instance UIDs of the Pertinent Other Evidence Sequence."""
    return {
        study.StudyInstanceUID: {
            reference.ReferencedSOPInstanceUID
            for series in study.ReferencedSeriesSequence
            for reference in series.ReferencedSOPSequence
        }
        for study in report.get("PertinentOtherEvidenceSequence", [])
    }


def scores(reading: Reading) -> dict[ImageLaterality, str]:
    return {breast.image_laterality: percent(breast.probability) for breast in reading.breasts}


def test_the_second_rounds_results_show_the_change_and_name_the_prior(screening: Screening) -> None:
    before = screening.read(*round_of(101, "20240301", PatientID="A"))
    now = screening.read(*round_of(130, "20260302", PatientID="A"))
    then, after = scores(before), scores(now)
    assert then != after, "the two rounds must differ for the test to show anything"
    for report in screening.reports(f"{ROOT}.130"):
        text = said(report)
        assert "Since 2024-03-01" in text
        for side, name in ((ImageLaterality.RIGHT, "right"), (ImageLaterality.LEFT, "left")):
            assert f"{name} {then[side]} → {after[side]} %" in text
        assert f"band {before.band} → {now.band}" in text
        assert other_evidence(report) == {f"{ROOT}.101": {f"{ROOT}.101.{number}" for number in range(1, 5)}}
    (card,) = [each for each in screening.results(f"{ROOT}.130") if each.Modality != "SR"]
    assert "Since 2024-03-01" in card.ImageComments
    for report in screening.reports(f"{ROOT}.101"):
        assert "Since" not in said(report)
        assert not other_evidence(report)


def test_an_exam_of_the_same_id_and_another_issuer_is_another_womans(screening: Screening) -> None:
    screening.read(*round_of(210, "20240301", PatientID="B", IssuerOfPatientID="OTHER"))
    screening.read(*round_of(211, "20260301", PatientID="B"))
    for report in screening.reports(f"{ROOT}.211"):
        assert "Since" not in said(report)
        assert "Prior exam" not in said(report)
        assert not other_evidence(report)
