"""Modality Performed Procedure Step as a user (PS3.4 F.7), as a modality is. For demonstration and tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from node.destinations import Outgoing
from node.dimse import scu
from node.dimse.mpps import SOP_CLASS
from node.errors import DeliveryError
from node.settings import Peer

_CONTEXTS = tuple((SOP_CLASS, syntax) for syntax in scu.UNCOMPRESSED)
#: What a modality and a RIS tell of a woman.
OF_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_OF_STUDY = ("StudyInstanceUID", "AccessionNumber")


def begin(peer: Peer, ae_title: str, uid: str, image: Dataset) -> None:
    """N-CREATE: the exam of this image's header is under way. Raises DeliveryError."""
    step, scheduled = Dataset(), Dataset()
    step.SpecificCharacterSet = image.get("SpecificCharacterSet", "ISO_IR 100")
    for keyword in OF_PATIENT:
        setattr(step, keyword, image.get(keyword, ""))
    for keyword in _OF_STUDY:
        setattr(scheduled, keyword, image.get(keyword, ""))
    now = datetime.now()
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PerformedProcedureStepID = str(image.get("StudyID") or "1")
    step.PerformedStationAETitle = ae_title
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = str(image.get("Modality") or "MG")
    step.PerformedSeriesSequence = []
    _send(peer, ae_title, "send_n_create", step, UID(SOP_CLASS), UID(uid))


def complete(peer: Peer, ae_title: str, uid: str, images: Sequence[Outgoing]) -> None:
    """N-SET: the exam is done, and these are its images. Raises DeliveryError."""
    step, series, now = Dataset(), Dataset(), datetime.now()
    series.ReferencedImageSequence = [_reference(each) for each in images]
    step.PerformedProcedureStepStatus = "COMPLETED"
    step.PerformedProcedureStepEndDate, step.PerformedProcedureStepEndTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    step.PerformedSeriesSequence = [series]
    _send(peer, ae_title, "send_n_set", step, UID(SOP_CLASS), UID(uid))


def _reference(image: Outgoing) -> Dataset:
    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = UID(image.sop_class_uid), UID(image.sop_instance_uid)
    return found


def _send(peer: Peer, ae_title: str, method: str, *arguments: Any) -> None:
    with scu.associated(peer, ae_title, _CONTEXTS) as association:
        answer, _ = scu.called(getattr(association, method), *arguments)
        error: DeliveryError | None = scu.judge(answer)
        if error is not None:
            raise error
