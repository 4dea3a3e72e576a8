"""A superseded result is taken back only when its successor has arrived: with a real archive that can refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.app import Node
from node.delivery import Standing
from node.dimse.archive import Archive
from storage.records import Delivery, DeliveryState, StudyState
from tests.support import wait_until
from tests.support_exams import STUDY, exam, settings, view
from tests.support_peers import sent

KINDS = ["summary_sc", "measurement_sr", "rejection_note"]
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class FullArchive(Archive):
    """The archive, out of resources for some SOP classes until it is told otherwise."""

    refused: frozenset[str] = frozenset()

    def _store(self, event: object) -> int:
        request = event.request  # type: ignore[attr-defined]
        if str(request.AffectedSOPClassUID) in self.refused:
            return 0xA700
        return super()._store(event)  # type: ignore[arg-type]


@dataclass
class Pair:
    node: Node
    archive: FullArchive
    folder: Path

    def send(self, *datasets: Dataset) -> None:
        sent(datasets, self.folder, self.node.receiver.port)

    def until(self, state: StudyState, revision: int, study: str = STUDY) -> None:
        def stands() -> bool:
            found = self.node.index.study(study)
            return found is not None and (found.state, found.revision) == (state, revision)

        wait_until(stands, 90, f"revision {revision} to be {state}")

    def held(self, study: str = STUDY) -> list[Dataset]:
        """What the archive holds of a study, in the order of its arrival."""
        files = sorted(self.folder.joinpath("archive").glob("[!.]*.dcm"), key=lambda path: path.stat().st_mtime_ns)
        found = [dcmread(path, stop_before_pixels=True) for path in files]
        return [dataset for dataset in found if dataset.StudyInstanceUID == study]

    def deliveries(self, revision: int) -> dict[str, DeliveryState]:
        return {each.kind: each.state for each in self.node.outbox.deliveries(STUDY, revision=revision)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    tmp_path = tmp_path_factory.mktemp("pair")
    archive = FullArchive(tmp_path / "archive", "ARCHIVE")
    archive.start()
    destination = {"peer": "PACS", "results": KINDS, "first_retry_s": 0.2, "max_retry_s": 0.4, "max_attempts": 3}
    config = settings(
        tmp_path,
        peers={"PACS": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}},
        destinations={"pacs": destination},
        reading={"threads": 1},
    )
    node = Node(config)
    node.start()
    try:
        yield Pair(node, archive, tmp_path)
    finally:
        node.stop()
        archive.stop()


def named(note: Dataset) -> set[str]:
    return {
        str(reference.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }


def test_the_old_result_is_rejected_after_the_new_one_has_arrived(pair: Pair) -> None:
    """The archive is full for cards, so the note stays; requeued, everything goes, and the note comes last."""
    pair.send(*exam())
    pair.until(StudyState.ANSWERED, 1)
    first = {str(each.SOPInstanceUID) for each in pair.held()}
    assert pair.deliveries(1) == dict.fromkeys(KINDS[:2], DeliveryState.DELIVERED), "a first revision rejects nothing"

    pair.archive.refused = frozenset({SECONDARY_CAPTURE})
    pair.send(view(5, "L", "MLO"))
    pair.until(StudyState.UNDELIVERED, 2)
    failed, delivered = DeliveryState.FAILED, DeliveryState.DELIVERED
    assert pair.deliveries(2) == {"summary_sc": failed, "measurement_sr": delivered, "rejection_note": failed}
    assert not [each for each in pair.held() if each.SOPClassUID == KEY_OBJECTS], "the old is hidden, the new not there"
    assert "kept back" in [event.text for event in pair.node.index.events(STUDY) if "rejection_note" in event.text][-1]

    pair.archive.refused = frozenset()
    assert pair.node.orders.requeue(STUDY) == 2
    pair.until(StudyState.ANSWERED, 2)
    *others, note = pair.held()
    assert note.SOPClassUID == KEY_OBJECTS
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert named(note) == first
    assert len(others) == 4


def test_a_third_revision_rejects_both_earlier_ones_but_not_their_note(pair: Pair) -> None:
    study = f"{STUDY}.3"
    pair.send(*exam(study))
    pair.until(StudyState.ANSWERED, 1, study)
    pair.node.orders.requeue(study, read=True)
    pair.until(StudyState.ANSWERED, 2, study)
    earlier = pair.held(study)
    pair.node.orders.requeue(study, read=True)
    pair.until(StudyState.ANSWERED, 3, study)
    note = pair.held(study)[-1]
    assert named(note) == {str(each.SOPInstanceUID) for each in earlier if each.SOPClassUID != KEY_OBJECTS}
    assert len(named(note)) == 4


NOW = datetime(2026, 11, 23, tzinfo=UTC)
PENDING, DELIVERED, FAILED = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.FAILED


def standing(*states: DeliveryState, not_made: int = 0) -> Standing:
    """Deliveries of two objects and, last, of a rejection note."""
    kinds = ("summary_sc", "measurement_sr", "rejection_note")
    made = [
        Delivery(
            sop_instance_uid=f"1.2.{number}",
            study_instance_uid="1.2",
            revision=2,
            kind=kind,
            destination="pacs",
            state=state,
            attempts=0,
            due_at=NOW,
        )
        for number, (kind, state) in enumerate(zip(kinds, states, strict=True))
    ]
    return Standing(tuple(made), not_made)


@pytest.mark.parametrize(
    ("states", "not_made", "sent", "kept_back"),
    [
        ((PENDING, PENDING, PENDING), 0, {"summary_sc", "measurement_sr"}, False),
        ((DELIVERED, PENDING, PENDING), 0, {"measurement_sr"}, False),
        ((DELIVERED, DELIVERED, PENDING), 0, {"rejection_note"}, False),
        ((FAILED, PENDING, PENDING), 0, {"measurement_sr"}, False),
        ((FAILED, DELIVERED, PENDING), 0, set(), True),
        ((DELIVERED, DELIVERED, PENDING), 1, set(), True),
        ((DELIVERED, DELIVERED, DELIVERED), 0, set(), False),
    ],
)
def test_what_is_sent_and_what_waits(
    states: tuple[DeliveryState, ...], not_made: int, sent: set[str], kept_back: bool
) -> None:
    here = standing(*states, not_made=not_made)
    assert {item.kind for item in here.to_send()} == sent
    assert [item.kind for item in here.kept_back()] == (["rejection_note"] if kept_back else [])
