"""Work items to push, and others who push them: pynetdicom as service class user, and requests over HTTP."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

from node.app import Node
from node.ups.attributes import code, items, made, tag, value
from node.ups.subscribing import WORKLIST
from tests.support import wait_until
from tests.support_exams import settings

CAD = code("110004", "DCM", "Computer Aided Detection")
FOREIGN = code("121726", "DCM", "RT Treatment with Internal Verification")
JSON = {"Content-Type": "application/dicom+json"}
CLASSES = (
    UnifiedProcedureStepPush,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepWatch,
    UnifiedProcedureStepQuery,
)
PROGRESS = "ProcedureStepProgressInformationSequence"
PERFORMED = "UnifiedProcedureStepPerformedProcedureSequence"


def workitem(study: str = "", instances: Sequence[tuple[str, str]] = (), **elements: Any) -> dict[str, Any]:
    """A work item as a RIS would push it, as DICOM JSON. instances: SOP class and instance UIDs that it names."""
    references = [made(ReferencedSOPClassUID=cls, ReferencedSOPInstanceUID=uid) for cls, uid in instances]
    named = made(
        TypeOfInstances="DICOM",
        StudyInstanceUID=study,
        ReferencedSOPSequence=references,
        DICOMRetrievalSequence=[made(RetrieveAETitle="PACS")],
    )
    values: dict[str, Any] = {
        "ProcedureStepState": "SCHEDULED",
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "screening",
        "WorklistLabel": "AI",
        "ScheduledProcedureStepStartDateTime": "20260101080000+0000",
        "InputReadinessState": "READY",
        "ScheduledWorkitemCodeSequence": [CAD],
        "InputInformationSequence": [named] if study else [],
        "PatientName": [{"Alphabetic": "Test^Åse"}],
        "PatientID": "P1",
        "PatientBirthDate": "19660101",
        "PatientSex": "F",
        **elements,
    }
    empty = """ScheduledProcessingParametersSequence ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence
        ScheduledStationGeographicLocationCodeSequence CommentsOnTheScheduledProcedureStep IssuerOfPatientID
        AdmissionID AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence ReferencedRequestSequence"""
    return {
        **made(**dict.fromkeys(each for each in (*empty.split(), PROGRESS, PERFORMED) if each not in values)),
        **made(**values),
    }


def without(item: dict[str, Any], *keywords: str) -> dict[str, Any]:
    return {at: each for at, each in copy.deepcopy(item).items() if at not in [tag(keyword) for keyword in keywords]}


def final(state: str) -> dict[str, Any]:
    """What a performer writes before it asks for that final state."""
    if state == "CANCELED":
        broken = code("110501", "DCM", "Equipment failure")
        told = made(ProcedureStepDiscontinuationReasonCodeSequence=[broken], ReasonForCancellation="it is broken")
        return made(**{PROGRESS: [told]})
    performed = made(
        PerformedStationNameCodeSequence=[code("OTHER", "99TEST", "other")],
        PerformedWorkitemCodeSequence=[FOREIGN],
        PerformedProcedureStepStartDateTime="20260101080000",
        PerformedProcedureStepEndDateTime="20260101080100",
        OutputInformationSequence=[],
    )
    return made(**{PERFORMED: [performed]})


def state_of(item: dict[str, Any]) -> str:
    return value(item, "ProcedureStepState")


def reason(item: dict[str, Any]) -> str:
    return value(next(iter(items(item, PROGRESS)), {}), "ReasonForCancellation")


def outputs(item: dict[str, Any]) -> set[str]:
    """SOP Instance UIDs that its Output Information Sequence names."""
    references = items(item, PERFORMED, "OutputInformationSequence", "ReferencedSOPSequence")
    return {value(each, "ReferencedSOPInstanceUID") for each in references}


@dataclass(frozen=True)
class Rest:
    """A user of UPS-RS."""

    base: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """A request below /workitems."""
        url = f"{self.base}/workitems{path}"
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return requests.request(method, url, json=body, headers={**(JSON if body else {}), **named}, timeout=60)

    def push(self, uid: str, item: dict[str, Any]) -> requests.Response:
        return self.ask("POST", f"?{uid}", [item])

    def item(self, uid: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/{uid}")
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()
        return dict(found)

    def change_state(self, uid: str, state: str, transaction_uid: str = "") -> requests.Response:
        return self.ask("PUT", f"/{uid}/state", [made(ProcedureStepState=state, TransactionUID=transaction_uid)])

    def ended(self, uid: str, timeout_s: float = 120) -> dict[str, Any]:
        """The item, once its state is final."""
        wait_until(lambda: state_of(self.item(uid)) in ("COMPLETED", "CANCELED"), timeout_s, f"{uid} to end")
        return self.item(uid)


def rest(node: Node) -> Rest:
    return Rest(f"http://127.0.0.1:{node.web.port}/dicom-web")


@dataclass(frozen=True)
class Dimse:
    """A user of UPS over DIMSE, on one association."""

    association: Association

    def create(self, uid: str, item: dict[str, Any]) -> int:
        status, _ = self.association.send_n_create(Dataset.from_json(item), UnifiedProcedureStepPush, UID(uid))
        return int(status.Status)

    def set(self, uid: str, given: dict[str, Any]) -> int:
        status, _ = self.association.send_n_set(
            Dataset.from_json(given), UnifiedProcedureStepPush, UID(uid), meta_uid=UnifiedProcedureStepPull
        )
        return int(status.Status)

    def get(self, uid: str, *keywords: str) -> tuple[int, Dataset | None]:
        tags = [int(tag(each), 16) for each in keywords]
        status, found = self.association.send_n_get(
            tags, UnifiedProcedureStepPush, UID(uid), meta_uid=UnifiedProcedureStepWatch
        )
        return int(status.Status), found

    def act(self, uid: str, action: int, **given: Any) -> int:
        """N-ACTION: Change State is of Pull, the others of Watch."""
        meta = UnifiedProcedureStepPull if action == 1 else UnifiedProcedureStepWatch
        information = Dataset.from_json(made(**given)) if given else None
        status, _ = self.association.send_n_action(
            information, action, UnifiedProcedureStepPush, UID(uid), meta_uid=meta
        )
        return int(status.Status)

    def change_state(self, uid: str, state: str, transaction_uid: str = "") -> int:
        return self.act(uid, 1, ProcedureStepState=state, TransactionUID=transaction_uid)

    def subscribe(self, ae_title: str, uid: str = WORKLIST, *, lock: bool = False, **filtered: Any) -> int:
        return self.act(uid, 3, ReceivingAE=ae_title, DeletionLock="TRUE" if lock else "FALSE", **filtered)

    def find(self, **keys: Any) -> list[Dataset]:
        found = self.association.send_c_find(Dataset.from_json(made(**keys)), UnifiedProcedureStepQuery)
        return [each for status, each in found if status.Status == 0xFF00]


@contextmanager
def keeping(folder: Path, **sections: Any) -> Iterator[Node]:
    """A node that only keeps a worklist, and tells of it."""
    node = Node(settings(folder, web={"port": 0}, ups={"performs": False}, **sections))
    node.database.create_schema()
    for each in (node.receiver, node.teller, node.web):
        each.start()
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def managing(folder: Path, performer_port: int) -> Iterator[Node]:
    """The manager whose worklist the node at this port works from."""
    performer = {"ae_title": "MAMMO_NODE", "host": "127.0.0.1", "port": performer_port}
    with keeping(folder, node={"port": 0, "ae_title": "MANAGER"}, peers={"PERFORMER": performer}) as manager:
        yield manager


def working_from(manager: Node) -> dict[str, Any]:
    """The sections of a performer's config."""
    peer = {"ae_title": "MANAGER", "host": "127.0.0.1", "port": manager.receiver.port}
    return {"peers": {"MANAGER": peer}, "ups": {"input_wait_s": 1.0, "managers": ["MANAGER"], "every_s": 0.3}}


@contextmanager
def dimse(node: Node, calling: str = "RIS") -> Iterator[Dimse]:
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = 60
    for each in CLASSES:
        ae.add_requested_context(each)
    association = ae.associate("127.0.0.1", node.receiver.port, ae_title="MAMMO_NODE")
    assert association.is_established
    try:
        yield Dimse(association)
    finally:
        association.release()
