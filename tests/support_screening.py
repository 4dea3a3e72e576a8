"""A node that runs, two-round exams to send it, and what its reports say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.findings import Reading
from node.app import Node
from node.config import Config
from node.destinations import Outgoing
from node.dimse import scu
from node.settings import Peer
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Refusal, StoredReading, StudyState
from tests.support import wait_until
from tests.support_exams import as_file, exam, settings
from tests.support_index import received

KINDS = ["mammography_cad_sr", "measurement_sr", "summary_sc"]
ROOT = "1.2.826.0.1.3680043.10.999"


@dataclass
class Screening:
    """A running node, and how exams get into it and results out."""

    node: Node
    folder: Path

    def send(self, *datasets: Dataset) -> None:
        """Send instances; each must be taken."""
        peer = Peer(ae_title="MAMMO_NODE", host="127.0.0.1", port=self.node.receiver.port)
        assert all(sent.error is None for sent in scu.store([self._file(each) for each in datasets], peer, "ROOM1"))

    def read(self, *datasets: Dataset) -> Reading:
        """Send one exam and wait for its answer."""
        study = str(datasets[0].StudyInstanceUID)
        self.send(*datasets)

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


def screening_config(folder: Path, **reading: object) -> Config:
    """On loopback, with every usual result object in a folder, read as `reading` says."""
    results = {"type": "folder", "folder": f"{folder}/out", "results": KINDS}
    return settings(folder, destinations={"out": results}, reading={"threads": 1, **reading})


@contextmanager
def screening_node(
    config: Config, folder: Path, passed: Callable[[str], None] = lambda _point: None
) -> Iterator[Screening]:
    """A node of this configuration, started; it ends with the block. Files to send are put in `folder`."""
    node = Node(config, passed=passed)
    node.start()
    try:
        yield Screening(node, folder)
    finally:
        node.stop()


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


def keep_reading(
    index: Index, outbox: Outbox, reading: Reading, study_date: str, refusals: Sequence[Refusal] = ()
) -> None:
    """An answered exam in a node's records, with this reading and no files."""
    now, study = datetime.now(UTC), reading.study_instance_uid
    index.add_instance(received(study, now, study_date=study_date), lambda _views: None)
    index.close_study(study, now, anyway=True)
    index.advance(study, 1, {StudyState.READING: StudyState.ANSWERED})
    outbox.save_reading(
        StoredReading(
            study_instance_uid=study,
            revision=reading.revision,
            reading_json=reading.to_json(),
            category=reading.category,
            previews={},
            saved_at=now,
        ),
        refusals,
    )
