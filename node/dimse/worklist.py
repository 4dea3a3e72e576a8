"""Modality Worklist as a service class user (PS3.4 K): what a RIS says will be examined on a day."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.dimse import query_scu, scu
from node.errors import NodeError
from node.settings import Peer
from node.settings_worklist import WorklistSettings
from storage.objects import is_valid_uid
from storage.worklist import Expected

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
#: The presentation contexts of a worklist query.
CONTEXTS = tuple((MODALITY_WORKLIST, syntax) for syntax in scu.UNCOMPRESSED)
#: What is asked for of an item.
RETURNED = ("AccessionNumber", "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "RequestedProcedurePriority")
#: Of its step.
STEP_RETURNED = ("ScheduledProcedureStepID", "ScheduledProcedureStepStartTime", "ScheduledProcedureStepStatus")


class NoWorklist(NodeError):
    """The worklist could not be had; the message says how far it got."""

    http_status = 502


def find(settings: WorklistSettings, peer: Peer, calling_ae_title: str, day: date) -> tuple[Expected, ...]:
    """What is scheduled for `day` (local) at the stations of interest. Raises NoWorklist.

    An item without a valid Study Instance UID, ID or time is left out: nothing can be matched by it.
    """
    found: list[Expected] = []
    try:
        with scu.associated(peer, calling_ae_title, CONTEXTS) as association:
            for station in settings.station_ae_titles or ("",):
                for item in query_scu.matches(association, _query(settings.modality, station, day), MODALITY_WORKLIST):
                    found += _expected(item, settings.urgent_priorities)
    except NodeError as error:
        raise NoWorklist(f"worklist: {error}") from error
    return tuple(found)


def _query(modality: str, station: str, day: date) -> Dataset:
    query, step = Dataset(), Dataset()
    for keyword in RETURNED:
        setattr(query, keyword, "")
    for keyword in STEP_RETURNED:
        setattr(step, keyword, "")
    step.Modality, step.ScheduledStationAETitle = modality, station
    step.ScheduledProcedureStepStartDate = day.strftime("%Y%m%d")
    query.ScheduledProcedureStepSequence = [step]
    return query


def _expected(item: Dataset, urgent: Collection[str]) -> Iterator[Expected]:
    study = str(item.get("StudyInstanceUID") or "")
    priority = str(item.get("RequestedProcedurePriority") or "").strip().upper()
    for step in item.get("ScheduledProcedureStepSequence") or []:
        at = _moment(step)
        identifier = str(step.get("ScheduledProcedureStepID") or "")
        if not is_valid_uid(study) or at is None or not identifier:
            continue
        yield Expected(
            study_instance_uid=study,
            scheduled_procedure_step_id=identifier,
            accession_number=str(item.get("AccessionNumber") or ""),
            patient_id=str(item.get("PatientID") or ""),
            issuer_of_patient_id=str(item.get("IssuerOfPatientID") or ""),
            station_ae_title=_first(step.get("ScheduledStationAETitle")),
            scheduled_at=at,
            urgent=priority in urgent,
        )


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, MultiValue) and value else value or "")


def _moment(step: Dataset) -> datetime | None:
    """When the step is to begin; the worklist's times are the hospital's, that is this machine's."""
    day = str(step.get("ScheduledProcedureStepStartDate") or "")
    time = (str(step.get("ScheduledProcedureStepStartTime") or "").split(".")[0] + "000000")[:6]
    try:
        return datetime.strptime(day + time, "%Y%m%d%H%M%S").astimezone()
    except ValueError:
        return None
