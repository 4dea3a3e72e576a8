"""Work items that others push, performed by the node: over UPS-RS and over DIMSE, with real exams and sockets."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset

from node.app import Node
from node.simulator.pacs import free_port
from node.ups.attributes import code, items, made, tag, value
from storage.records import StudyState
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_screening import KINDS, ROOT, Screening, round_of, screening_node
from tests.support_ups import (
    FOREIGN,
    PERFORMED,
    PROGRESS,
    dimse,
    managing,
    outputs,
    reason,
    rest,
    state_of,
    working_from,
    workitem,
)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Node]:
    with managing(tmp_path_factory.mktemp("manager"), port) as manager:
        yield manager


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, manager: Node, port: int) -> Iterator[Screening]:
    folder = tmp_path_factory.mktemp("ups")
    config = settings(
        folder,
        node={"port": port},
        destinations={"out": {"type": "folder", "folder": f"{folder}/out", "results": KINDS}},
        reading={"threads": 1},
        web={"port": 0},
        completeness={"quiet_s": 300, "standard_views_grace_s": 0.1},
        **working_from(manager),
    )
    with screening_node(config, folder) as node:
        yield node


def references(datasets: list[Dataset]) -> list[tuple[str, str]]:
    return [(each.SOPClassUID, each.SOPInstanceUID) for each in datasets]


def made_of(node: Screening, study: str) -> set[str]:
    return {each.sop_instance_uid for each in node.node.outbox.results(study)}


def test_a_pushed_item_is_claimed_performed_and_completed_with_every_result(node: Screening) -> None:
    """By UPS-RS, scheduled before its images are here; all that it names come, so nothing more is waited for."""
    datasets, web = round_of(1, "20260301"), rest(node.node)
    study, uid = f"{ROOT}.1", "2.25.1001"
    answer = web.push(uid, workitem(study, references(datasets), InputReadinessState="INCOMPLETE"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{web.base}/workitems/{uid}"
    node.send(*datasets)
    assert state_of(web.item(uid)) == "SCHEDULED", "claimed although its input is not ready"
    assert web.ask("POST", f"/{uid}", [made(InputReadinessState="READY")]).status_code == 200
    done = web.ended(uid)
    assert state_of(done) == "COMPLETED", reason(done)
    assert node.node.index.study(study).state is StudyState.ANSWERED
    assert outputs(done) == made_of(node, study)
    assert len(outputs(done)) == len(KINDS)
    performed = next(items(done, PERFORMED))
    assert value(next(items(performed, "PerformedStationNameCodeSequence")), "CodeValue") == "MAMMO_NODE"
    assert value(next(items(performed, "PerformedWorkitemCodeSequence")), "CodeValue") == "110004"
    retrieval = items(performed, "OutputInformationSequence", "DICOMRetrievalSequence")
    assert {value(each, "RetrieveAETitle") for each in retrieval} == {"MAMMO_NODE"}
    assert value(next(items(done, PROGRESS)), "ProcedureStepProgress") in ("100", "100.0")
    assert tag("TransactionUID") not in done, "it is the lock, and nobody's business"


def test_an_item_whose_exam_is_read_already_completes_with_those_results(node: Screening) -> None:
    """By DIMSE; the exam is not read again."""
    study, uid = f"{ROOT}.1", "2.25.1002"
    before = node.node.index.study(study)
    with dimse(node.node) as ris:
        assert ris.create(uid, workitem(study)) == 0x0000
        wait_until(lambda: ris.get(uid, "ProcedureStepState")[1].ProcedureStepState == "COMPLETED", 30, "its end")
        _, item = ris.get(uid)
    assert node.node.index.study(study).revision == before.revision
    (performed,) = item.UnifiedProcedureStepPerformedProcedureSequence
    series = performed.OutputInformationSequence
    found = {ref.ReferencedSOPInstanceUID for each in series for ref in each.ReferencedSOPSequence}
    assert found == made_of(node, study)


def test_an_item_of_another_managers_worklist_is_claimed_there_and_completed_there(
    node: Screening, manager: Node
) -> None:
    theirs, uid, study = rest(manager), "2.25.1004", f"{ROOT}.1"
    assert theirs.push(uid, workitem(study)).status_code == 201
    done = theirs.ended(uid)
    assert state_of(done) == "COMPLETED", reason(done)
    assert outputs(done) == made_of(node, study)
    assert value(next(items(done, PROGRESS)), "ProcedureStepProgress") in ("100", "100.0")


def test_an_exam_that_is_not_read_ends_its_item_as_canceled_with_the_reason(node: Screening) -> None:
    """Never COMPLETED: two views without any more must not look like a negative exam. The reports say so too."""
    datasets, web = round_of(2, "20260301")[:2], rest(node.node)
    study, uid = f"{ROOT}.2", "2.25.1003"
    node.send(*datasets)
    assert web.push(uid, workitem(study, references(datasets))).status_code == 201
    done = web.ended(uid)
    assert state_of(done) == "CANCELED"
    assert reason(done).startswith("NOT_READ: ")
    assert any(items(done, PROGRESS, "ProcedureStepDiscontinuationReasonCodeSequence"))
    assert outputs(done) == made_of(node, study), "the objects that say NOT_READ are named"


NAMED = [code("MAMMO_NODE", "99TEST", "this node")]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (workitem(f"{ROOT}.404"), "INPUT_NOT_HERE"),
        (workitem(f"{ROOT}.1", [("1.2.840.10008.5.1.4.1.1.1.2", f"{ROOT}.1.99")]), "INPUT_NOT_HERE"),
        (workitem(), "NO_INPUT"),
        (workitem(f"{ROOT}.1", PatientID="P2"), "PATIENT_CONFLICT"),
        (
            workitem(f"{ROOT}.1", ScheduledWorkitemCodeSequence=[FOREIGN], ScheduledStationNameCodeSequence=NAMED),
            "NOT_OFFERED",
        ),
    ],
    ids=["no such study", "an instance that never comes", "no input", "another woman", "another task"],
)
def test_what_cannot_be_performed_is_canceled_with_a_reason(node: Screening, item: dict[str, Any], why: str) -> None:
    web, uid = rest(node.node), f"2.25.{zlib.crc32(str(item).encode())}"
    assert web.push(uid, item).status_code == 201
    done = web.ended(uid, 30)
    assert state_of(done) == "CANCELED"
    assert reason(done).startswith(why)
    assert outputs(done) == set()


def test_an_item_of_another_code_is_kept_for_others_to_perform(node: Screening) -> None:
    web = rest(node.node)
    web.push("2.25.1010", workitem(f"{ROOT}.1", ScheduledWorkitemCodeSequence=[FOREIGN]))
    web.push("2.25.1011", workitem(f"{ROOT}.1"))
    web.ended("2.25.1011", 30)
    assert state_of(web.item("2.25.1010")) == "SCHEDULED", "though a later one has ended"


def test_metrics_count_items_and_name_nobody(node: Screening) -> None:
    text = requests.get(f"http://127.0.0.1:{node.node.web.port}/metrics", timeout=30).text
    assert 'mammo_node_workitems{state="COMPLETED"}' in text
    assert ROOT not in text
    assert "P1" not in text
