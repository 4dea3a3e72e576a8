"""The state machine of work items (PS3.4 CC.1.1), asked over DIMSE and over UPS-RS: the same rules, each in its words.

The node does not perform here: the tests are the performer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from node.app import Node
from node.ups.attributes import made, tag
from tests.support_exams import settings
from tests.support_ups import (
    FOREIGN,
    PERFORMED,
    PROGRESS,
    Rest,
    dimse,
    final,
    reason,
    rest,
    state_of,
    without,
    workitem,
)

NUMBERS = itertools.count(5000)
OURS, THEIRS = "2.25.71", "2.25.72"
INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."
MISSING, INCORRECT = "The Transaction UID is missing.", "The Transaction UID is incorrect."
UNCLAIMED = "The target URI did not reference a claimed Workitem."


def node_of(folder: Path, **sections: Any) -> Node:
    node = Node(settings(folder, web={"port": 0}, **{"ups": {"performs": False}, **sections}))
    node.database.create_schema()
    node.receiver.start()
    node.web.start()
    return node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = node_of(tmp_path_factory.mktemp("ups"))
    yield node
    node.stop()


def item_in(web: Rest, state: str) -> str:
    """A new item, brought into this state by a performer that holds the Transaction UID `OURS`."""
    uid = f"2.25.{next(NUMBERS)}"
    assert web.push(uid, workitem()).status_code == 201
    if state != "SCHEDULED":
        assert web.change_state(uid, "IN PROGRESS", OURS).status_code == 200
    if state in ("COMPLETED", "CANCELED"):
        assert web.ask("POST", f"/{uid}?{OURS}", [final(state)]).status_code == 200
        answer = web.change_state(uid, state, OURS)
        assert answer.status_code == 200, answer.text
    return uid


#: state, wanted, Transaction UID → DIMSE status, HTTP status, Warning (PS3.4 Table CC.1.1-2, PS3.18 11.7.3).
CHANGES = [
    ("SCHEDULED", "IN PROGRESS", OURS, 0x0000, 200, ""),
    ("SCHEDULED", "IN PROGRESS", "", 0xC301, 400, MISSING),
    ("SCHEDULED", "SCHEDULED", OURS, 0xC303, 409, INCONSISTENT),
    ("SCHEDULED", "COMPLETED", OURS, 0xC310, 409, UNCLAIMED),
    ("SCHEDULED", "CANCELED", OURS, 0xC310, 409, UNCLAIMED),
    ("IN PROGRESS", "SCHEDULED", OURS, 0xC303, 409, INCONSISTENT),
    ("IN PROGRESS", "IN PROGRESS", OURS, 0xC302, 409, INCONSISTENT),
    ("IN PROGRESS", "IN PROGRESS", THEIRS, 0xC301, 409, INCORRECT),
    ("IN PROGRESS", "COMPLETED", "", 0xC301, 400, MISSING),
    ("IN PROGRESS", "COMPLETED", THEIRS, 0xC301, 409, INCORRECT),
    ("IN PROGRESS", "COMPLETED", OURS, 0xC304, 409, INCONSISTENT),
    ("IN PROGRESS", "CANCELED", OURS, 0xC304, 409, INCONSISTENT),
    ("COMPLETED", "SCHEDULED", OURS, 0xC303, 409, INCONSISTENT),
    ("COMPLETED", "IN PROGRESS", OURS, 0xC300, 409, INCONSISTENT),
    ("COMPLETED", "COMPLETED", OURS, 0xB306, 200, "The UPS is already in the requested state of COMPLETED."),
    ("COMPLETED", "COMPLETED", THEIRS, 0xC301, 409, INCORRECT),
    ("COMPLETED", "CANCELED", OURS, 0xC300, 409, INCONSISTENT),
    ("CANCELED", "IN PROGRESS", OURS, 0xC300, 409, INCONSISTENT),
    ("CANCELED", "COMPLETED", OURS, 0xC300, 409, INCONSISTENT),
    ("CANCELED", "CANCELED", OURS, 0xB304, 200, "The UPS is already in the requested state of CANCELED."),
]


@pytest.mark.parametrize(("state", "wanted", "uid", "status", "http", "warning"), CHANGES)
def test_a_change_of_state_is_judged_alike_on_both_ways(
    node: Node, state: str, wanted: str, uid: str, status: int, http: int, warning: str
) -> None:
    web = rest(node)
    by_dimse, by_web = item_in(web, state), item_in(web, state)
    with dimse(node) as performer:
        assert hex(performer.change_state(by_dimse, wanted, uid)) == hex(status)
    answer = web.change_state(by_web, wanted, uid)
    assert answer.status_code == http, answer.text
    assert answer.headers.get("Warning", "") == (f'299 mammo-node "{warning}"' if warning else "")
    after = wanted if status == 0 else state
    assert (state_of(web.item(by_dimse)), state_of(web.item(by_web))) == (after, after)


#: state, Transaction UID, what is set → DIMSE status, HTTP status (PS3.4 CC.2.6).
UPDATES = [
    ("SCHEDULED", "", made(ProcedureStepLabel="other"), 0x0000, 200),
    ("SCHEDULED", OURS, made(ProcedureStepLabel="other"), 0xC310, 409),
    ("SCHEDULED", "", final("COMPLETED"), 0xC310, 409),
    ("IN PROGRESS", OURS, final("COMPLETED"), 0x0000, 200),
    ("IN PROGRESS", "", made(ProcedureStepLabel="other"), 0xC301, 400),
    ("IN PROGRESS", THEIRS, made(ProcedureStepLabel="other"), 0xC301, 409),
    ("IN PROGRESS", OURS, made(ProcedureStepState="COMPLETED"), 0x0106, 400),
    ("IN PROGRESS", OURS, made(PatientID="P2"), 0x0106, 400),
    ("IN PROGRESS", OURS, made(InputReadinessState="PERHAPS"), 0x0106, 400),
    ("COMPLETED", OURS, made(ProcedureStepLabel="other"), 0xC300, 409),
    ("CANCELED", OURS, made(ProcedureStepLabel="other"), 0xC300, 409),
]


@pytest.mark.parametrize(("state", "uid", "given", "status", "http"), UPDATES)
def test_an_update_is_judged_alike_on_both_ways(
    node: Node, state: str, uid: str, given: dict[str, Any], status: int, http: int
) -> None:
    web = rest(node)
    by_dimse, by_web = item_in(web, state), item_in(web, state)
    with dimse(node) as performer:
        assert hex(performer.set(by_dimse, {**given, **made(TransactionUID=uid)})) == hex(status)
    answer = web.ask("POST", f"/{by_web}?{uid}", [given])
    assert answer.status_code == http, answer.text
    assert ("Warning" in answer.headers) == (http == 409 or status == 0xC301)
    at = next(iter(given))
    if state != "COMPLETED" or at != tag(PERFORMED):
        assert [web.item(each).get(at) == given[at] for each in (by_dimse, by_web)] == [status == 0] * 2


CREATIONS = [
    (without(workitem(), "ProcedureStepLabel"), 0x0120, 400),
    (workitem(ProcedureStepLabel=""), 0x0121, 400),
    (workitem(ProcedureStepState="IN PROGRESS"), 0xC309, 400),
    (workitem(ScheduledProcedureStepPriority="STAT"), 0x0106, 400),
    (workitem(TransactionUID=OURS), 0x0106, 400),
    (workitem(**{PERFORMED: [made(PerformedWorkitemCodeSequence=[FOREIGN])]}), 0x0106, 400),
    (without(workitem(), "AdmissionID"), 0xB300, 201),
    (workitem(), 0x0000, 201),
]


@pytest.mark.parametrize(("item", "status", "http"), CREATIONS)
def test_a_new_item_is_judged_alike_on_both_ways(node: Node, item: dict[str, Any], status: int, http: int) -> None:
    web, by_dimse, by_web = rest(node), f"2.25.{next(NUMBERS)}", f"2.25.{next(NUMBERS)}"
    with dimse(node) as ris:
        assert hex(ris.create(by_dimse, item)) == hex(status)
    answer = web.push(by_web, item)
    assert answer.status_code == http, answer.text
    assert ("modifications" in answer.headers.get("Warning", "")) == (status == 0xB300)
    for uid in (by_dimse, by_web):
        assert web.ask("GET", f"/{uid}").status_code == (200 if http == 201 else 404)


def test_the_same_item_twice_is_a_conflict_and_changes_nothing(node: Node) -> None:
    web, uid = rest(node), f"2.25.{next(NUMBERS)}"
    assert web.push(uid, workitem()).status_code == 201
    assert web.push(uid, workitem(ProcedureStepLabel="again")).status_code == 409
    with dimse(node) as ris:
        assert ris.create(uid, workitem(ProcedureStepLabel="again")) == 0x0111
        assert ris.get(uid, "ProcedureStepLabel")[1].ProcedureStepLabel == "screening"


def test_one_of_two_who_claim_an_item_gets_it(node: Node) -> None:
    web = rest(node)
    uid = item_in(web, "SCHEDULED")
    with dimse(node) as performer:
        assert performer.change_state(uid, "IN PROGRESS", THEIRS) == 0
    assert web.change_state(uid, "IN PROGRESS", OURS).headers["Warning"].endswith(f'"{INCORRECT}"')


@pytest.mark.parametrize("state", ["COMPLETED", "CANCELED"])
def test_a_performer_ends_an_item_over_dimse(node: Node, state: str) -> None:
    uid = item_in(rest(node), "IN PROGRESS")
    with dimse(node) as performer:
        assert performer.set(uid, {**final(state), **made(TransactionUID=OURS)}) == 0
        assert performer.change_state(uid, state, OURS) == 0
        _, item = performer.get(uid)
    assert item.ProcedureStepState == state
    assert "TransactionUID" not in item
    if state == "CANCELED":
        assert item[PROGRESS][0].ProcedureStepCancellationDateTime


@pytest.mark.parametrize("uid", ["2.25.404"])
def test_an_item_that_is_not_there(node: Node, uid: str) -> None:
    web = rest(node)
    with dimse(node) as user:
        statuses = [user.get(uid)[0], user.change_state(uid, "IN PROGRESS", OURS), user.act(uid, 2)]
        statuses += [user.set(uid, made(ProcedureStepLabel="x"))]
    assert set(statuses) == {0xC307}
    asked = [("GET", "", None), ("POST", "/cancelrequest", None), ("POST", "/subscribers/RIS", None)]
    asked += [("POST", "", [made(ProcedureStepLabel="x")])]
    assert {web.ask(method, f"/{uid}{path}", body).status_code for method, path, body in asked} == {404}


#: state → DIMSE status, HTTP status, the state after it; nobody is subscribed (PS3.4 CC.2.2).
CANCELS = [
    ("SCHEDULED", 0x0000, 202, "CANCELED"),
    ("IN PROGRESS", 0xC312, 409, "IN PROGRESS"),
    ("COMPLETED", 0xC311, 409, "COMPLETED"),
    ("CANCELED", 0xB304, 202, "CANCELED"),
]


@pytest.mark.parametrize(("state", "status", "http", "after"), CANCELS)
def test_a_request_to_cancel_is_judged_alike_on_both_ways(
    node: Node, state: str, status: int, http: int, after: str
) -> None:
    web = rest(node)
    by_dimse, by_web = item_in(web, state), item_in(web, state)
    with dimse(node) as user:
        assert hex(user.act(by_dimse, 2, ReasonForCancellation="wrong breast")) == hex(status)
    answer = web.ask("POST", f"/{by_web}/cancelrequest", [made(ReasonForCancellation="wrong breast")])
    assert answer.status_code == http, answer.text
    for uid in (by_dimse, by_web):
        item = web.item(uid)
        assert state_of(item) == after
        assert (reason(item) == "wrong breast") == (state == "SCHEDULED")


def test_items_are_found_alike_on_both_ways(node: Node) -> None:
    web = rest(node)
    label = f"L{next(NUMBERS)}"
    uids = [f"2.25.{next(NUMBERS)}" for _ in range(3)]
    for uid in uids:
        web.push(uid, workitem(WorklistLabel=label, ScheduledWorkitemCodeSequence=[FOREIGN]))
    web.change_state(uids[0], "IN PROGRESS", OURS)
    found = web.ask("GET", f"?WorklistLabel={label}&ProcedureStepState=SCHEDULED&includefield=PatientID").json()
    assert [each[tag("SOPInstanceUID")]["Value"][0] for each in found] == uids[1:]
    assert tag("PatientID") in found[0]
    assert tag("PatientName") not in found[0]
    code = f"ScheduledWorkitemCodeSequence.CodeValue=121726&WorklistLabel={label}"
    assert len(web.ask("GET", f"?{code}").json()) == 3
    limited = web.ask("GET", f"?{code}&limit=1")
    assert len(limited.json()) == 1
    assert "more matches" in limited.headers["Warning"]
    with dimse(node) as user:
        matches = user.find(WorklistLabel=label, ProcedureStepState="SCHEDULED", SOPInstanceUID=None, PatientName=None)
    assert [each.SOPInstanceUID for each in matches] == uids[1:]
    assert matches[0].PatientName == "Test^Åse"
    assert "PatientID" not in matches[0]


@pytest.mark.parametrize(
    ("body", "content_type", "http", "says"),
    [
        ("{", "application/dicom+json", 400, "JSON"),
        ("[{}, {}]", "application/dicom+json", 400, "one data set"),
        ('[{"00741000": {"vr": "XX", "Value": [1]}}]', "application/dicom+json", 400, "DICOM JSON"),
        ('[{"00741000": 7}]', "application/dicom+json", 400, "DICOM JSON"),
        ("<x/>", "application/dicom+xml", 415, "application/dicom+json"),
        (f'["{"x" * 1_000_000}"]', "application/dicom+json", 413, "bytes"),
    ],
    ids=["broken", "two", "no VR", "no element", "XML", "large"],
)
def test_what_is_no_item_is_told_so(node: Node, body: str, content_type: str, http: int, says: str) -> None:
    answer = requests.post(
        f"{rest(node).base}/workitems?2.25.1", data=body, headers={"Content-Type": content_type}, timeout=30
    )
    assert answer.status_code == http, answer.text
    assert says in answer.json()["error"]


def test_an_action_that_there_is_not(node: Node) -> None:
    uid = item_in(rest(node), "SCHEDULED")
    with dimse(node) as user:
        assert user.act(uid, 9) == 0x0123
        assert user.act(uid, 5, ReceivingAE="RIS") == 0xC314, "one item's subscription cannot be suspended"


def test_a_caller_without_the_right_is_refused(tmp_path: Path) -> None:
    node = node_of(tmp_path, callers=[{"ae_title": "RIS", "address": "127.0.0.1", "may": ["store"]}])
    try:
        with dimse(node) as ris:
            assert ris.create("2.25.1", workitem()) == 0x0124
    finally:
        node.stop()
