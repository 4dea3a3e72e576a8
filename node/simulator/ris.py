"""What a RIS schedules for exams: worklist items, and work items that ask for their reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.dimse.mpps_scu import OF_PATIENT
from node.dimse.worklist import MODALITY_WORKLIST
from node.settings_ups import UpsSettings
from node.simulator.exams import MadeExam
from node.ups import offered
from node.ups.attributes import made

_APART = timedelta(minutes=5)


def header(exam: MadeExam) -> Dataset:
    """Of its first image."""
    return dcmread(exam.images[0].path, stop_before_pixels=True)


def scheduled(exams: Sequence[MadeExam], stations: Sequence[str], first: datetime) -> list[Dataset]:
    """A worklist item for each exam, five minutes apart, the stations in turn."""
    return [
        _item(number, header(exam), stations[number % len(stations)], first + number * _APART)
        for number, exam in enumerate(exams)
    ]


def _item(number: int, image: Dataset, station: str, at: datetime) -> Dataset:
    item, step, local = Dataset(), Dataset(), at.astimezone()
    item.SpecificCharacterSet = image.get("SpecificCharacterSet", "ISO_IR 100")
    for keyword in (*OF_PATIENT, "AccessionNumber", "StudyInstanceUID"):
        setattr(item, keyword, image.get(keyword, ""))
    item.SOPClassUID, item.SOPInstanceUID = MODALITY_WORKLIST, f"{image.StudyInstanceUID}.{number}"[:64]
    item.RequestedProcedureID = item.RequestedProcedureDescription = "screening"
    item.RequestedProcedurePriority = "ROUTINE"
    step.Modality, step.ScheduledStationAETitle = "MG", station
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = f"{local:%Y%m%d}", f"{local:%H%M%S}"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = f"S{number}", "screening"
    step.ScheduledPerformingPhysicianName = ""
    item.ScheduledProcedureStepSequence = [step]
    return item


def work_item(exam: MadeExam) -> dict[str, Any]:
    """DICOM JSON of a Unified Procedure Step that asks for a reading, by the code that a node performs by default."""
    image = header(exam)
    references = [
        made(ReferencedSOPClassUID=each.sop_class_uid, ReferencedSOPInstanceUID=each.sop_instance_uid)
        for each in exam.images
        if not each.late
    ]
    study = made(TypeOfInstances="DICOM", StudyInstanceUID=exam.study_instance_uid, ReferencedSOPSequence=references)
    return made(
        ScheduledProcedureStepPriority="MEDIUM",
        ProcedureStepLabel="screening",
        ScheduledProcedureStepStartDateTime=f"{datetime.now(UTC):%Y%m%d%H%M%S}+0000",
        InputReadinessState="READY",
        ProcedureStepState="SCHEDULED",
        ScheduledWorkitemCodeSequence=offered.codes(UpsSettings()),
        InputInformationSequence=[study],
        PatientID=str(image.PatientID),
        PatientName=[{"Alphabetic": str(image.PatientName)}],
    )
