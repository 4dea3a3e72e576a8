"""Before results are sent Orthanc is asked whose the study is; under another woman's name nothing goes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node import overview
from node.pipeline.identifying import differences
from node.simulator.pacs import free_port
from storage.records import DeliveryState, StudyState
from tests.support import wait_until
from tests.support_commitment import SendingNode, peer_settings
from tests.support_exams import as_file, settings, view
from tests.support_peers import Orthanc, orthanc

NAME, ID = "Test^Anna", "1"  # of the results that `SendingNode` delivers


@dataclass
class Hospital:
    pacs: Orthanc
    node: SendingNode
    out: Path

    def archive(self, study: str, name: str = NAME, patient_id: str = ID, **elements: object) -> None:
        given = {"PatientName": name, "PatientID": patient_id, "PatientBirthDate": "", **elements}
        self.pacs.put(as_file(view(99, study=study, Rows=16, Columns=16, **given)))

    def becomes(self, study: str, delivery: DeliveryState, state: StudyState) -> str:
        def reached() -> bool:
            return self.node.states(study) == [delivery] and self.node.index.study(study).state is state

        wait_until(reached, 40, f"{study} to be {delivery}, {state}; it is {self.node.states(study)}")
        return self.node.outbox.deliveries(study)[0].last_error

    def sent(self, study: str) -> bool:
        return (self.out / f"{study}.1.dcm").is_file()


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    out = folder / "out"
    with orthanc(folder) as pacs:
        to = {"type": "folder", "folder": str(out), "results": ["summary_sc"], "first_retry_s": 0.1}
        peers = {"PACS": peer_settings(pacs.port, "ORTHANC"), "GONE": peer_settings(free_port(), "GONE")}
        destinations = {"out": {**to, "identity_peer": "PACS"}, "unsure": {**to, "identity_peer": "GONE"}}
        node = SendingNode(settings(folder, peers=peers, destinations=destinations))
        node.start()
        try:
            yield Hospital(pacs, node, out)
        finally:
            node.stop()


@pytest.mark.parametrize(("study", "name"), [("1.3.1", NAME), ("1.3.2", "TEST^ANNA^^^")])
def test_the_same_woman_gets_her_results(hospital: Hospital, study: str, name: str) -> None:
    hospital.archive(study, name)
    hospital.node.deliver(study, "out", 1)
    hospital.becomes(study, DeliveryState.DELIVERED, StudyState.ANSWERED)
    assert hospital.sent(study)


@pytest.mark.parametrize(
    ("study", "other", "told"),
    [("1.3.3", {"name": "Berg^Kari"}, "PatientName"), ("1.3.4", {"patient_id": "2"}, "PatientID")],
)
def test_another_womans_study_gets_nothing_and_a_person_is_told(
    hospital: Hospital, study: str, other: dict[str, str], told: str
) -> None:
    hospital.archive(study, **other)
    hospital.node.deliver(study, "out", 1)
    why = hospital.becomes(study, DeliveryState.HELD, StudyState.UNDELIVERED)
    assert why == f"PACS has the study with another {told}"
    assert any(
        "are held: the archive or the RIS has" in each for each in overview.status(hospital.node.config).attention
    )
    assert not any(value in why for value in other.values()), "who she is stays out of texts"
    assert not hospital.sent(study)
    assert hospital.node.orders.requeue(study) == 1, "the archive is asked again, and says the same"
    wait_until(lambda: len(_holds(hospital, study)) == 2, 30, "it to be held again")
    hospital.becomes(study, DeliveryState.HELD, StudyState.UNDELIVERED)
    assert hospital.node.orders.release(study) == 1
    hospital.becomes(study, DeliveryState.DELIVERED, StudyState.ANSWERED)
    assert hospital.sent(study)


def _holds(hospital: Hospital, study: str) -> list[str]:
    return [each.text for each in hospital.node.index.events(study) if "has the study with another" in each.text]


def test_a_study_that_the_archive_does_not_hold_is_no_contradiction(hospital: Hospital) -> None:
    hospital.node.deliver("1.3.5", "out", 1)
    hospital.becomes("1.3.5", DeliveryState.DELIVERED, StudyState.ANSWERED)
    assert any("could not be compared" in each.text for each in hospital.node.index.events("1.3.5"))


def test_an_archive_that_is_away_is_asked_later_and_nothing_goes_out_until_then(hospital: Hospital) -> None:
    hospital.node.deliver("1.3.6", "unsure", 1)
    wait_until(lambda: hospital.node.outbox.deliveries("1.3.6")[0].attempts >= 2, 40, "a second attempt")
    (waiting,) = hospital.node.outbox.deliveries("1.3.6")
    assert waiting.state is DeliveryState.PENDING
    assert "GONE was asked for the patient" in waiting.last_error
    assert not hospital.sent("1.3.6")


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        ({}, []),
        ({"PatientBirthDate": "19660102"}, ["PatientBirthDate"]),
        ({"PatientBirthDate": ""}, []),
        ({"PatientID": ""}, ["PatientID"]),
        ({"IssuerOfPatientID": "OTHER"}, []),
        ({"PatientName": "tést^ase"}, []),
        ({"PatientName": "Hansen^Åse"}, ["PatientName"]),
    ],
)
def test_what_counts_as_another_identity(theirs: dict[str, str], found: list[str]) -> None:
    assert differences(view(), view(**theirs)) == found
