"""What the performer writes into an item: how far it is, what it made, why it was canceled (PS3.3 C.30.3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.sr.coding import Code

from node.results._codes import PRIVATE_SCHEME
from node.ups import reasons
from node.ups.attributes import Attributes, code, items, made, value
from node.ups.worklist import moment
from storage.records import Delivery, DeliveryState, ResultObject

_PERFORMED = "UnifiedProcedureStepPerformedProcedureSequence"
_PROGRESS = "ProcedureStepProgressInformationSequence"
_THERE = frozenset({DeliveryState.DELIVERED, DeliveryState.UNCOMMITTED, DeliveryState.COMMITTED})


@dataclass(frozen=True, slots=True)
class Places:
    """From where results can be had: this node, and the AE titles of destinations; base_url: of WADO-RS, "" none."""

    ae_title: str
    destinations: Mapping[str, str]
    base_url: str = ""


def begun(item: Attributes, codes: Sequence[Mapping[str, Any]], ae_title: str, now: datetime) -> dict[str, Any]:
    """What a claim adds."""
    asked = list(items(item, "ScheduledWorkitemCodeSequence")) or list(codes)
    performed = made(
        PerformedStationNameCodeSequence=[code(ae_title, PRIVATE_SCHEME, "AE title of this node")],
        PerformedWorkitemCodeSequence=asked,
        PerformedProcedureStepStartDateTime=moment(now),
        OutputInformationSequence=None,
    )
    return {**made(**{_PERFORMED: [performed]}), **progress(0, "claimed")}


def progress(percent: int, words: str) -> dict[str, Any]:
    """How far it is."""
    told = made(ProcedureStepProgress=percent, ProcedureStepProgressDescription=words[:1024])
    return made(**{_PROGRESS: [told]})


def words_of(item: Attributes) -> str:
    """The description of its progress."""
    return value(next(items(item, _PROGRESS), {}), "ProcedureStepProgressDescription")


def ended(item: Attributes, outputs: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """What the end adds: when, and the Output Information Sequence."""
    end = made(PerformedProcedureStepEndDateTime=moment(now), OutputInformationSequence=list(outputs))
    return made(**{_PERFORMED: [{**next(items(item, _PERFORMED), {}), **end}]})


def reason(why: str, coded: Code, now: datetime) -> dict[str, Any]:
    """Progress that says why the item is canceled; `why` holds nothing of the patient."""
    told = made(
        ProcedureStepProgressDescription=f"canceled: {why}"[:1024],
        ProcedureStepCancellationDateTime=moment(now),
        ReasonForCancellation=why[:10240],
        ProcedureStepDiscontinuationReasonCodeSequence=[reasons.item(coded)],
    )
    return made(**{_PROGRESS: [told]})


def outputs(results: Iterable[ResultObject], deliveries: Sequence[Delivery], places: Places) -> list[dict[str, Any]]:
    """An item for each series of result objects that were made and that the same places have."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[ResultObject]] = {}
    for each in results:
        if not each.error:
            there = _there(each, deliveries, places)
            groups.setdefault((each.study_instance_uid, each.series_instance_uid, there), []).append(each)
    return [_output(objects, there, places) for (_, _, there), objects in groups.items()]


def _there(result: ResultObject, deliveries: Sequence[Delivery], places: Places) -> tuple[str, ...]:
    """AE titles of destinations that said they have the object."""
    names = {
        each.destination
        for each in deliveries
        if each.sop_instance_uid == result.sop_instance_uid and each.state in _THERE
    }
    return tuple(ae for name, ae in places.destinations.items() if name in names)


def _output(objects: Sequence[ResultObject], there: tuple[str, ...], places: Places) -> dict[str, Any]:
    study, series = objects[0].study_instance_uid, objects[0].series_instance_uid
    references = [
        made(ReferencedSOPClassUID=each.sop_class_uid, ReferencedSOPInstanceUID=each.sop_instance_uid)
        for each in objects
    ]
    found = made(
        TypeOfInstances="DICOM",
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        ReferencedSOPSequence=references,
        DICOMRetrievalSequence=[made(RetrieveAETitle=each) for each in (*there, places.ae_title)],
    )
    if places.base_url:
        url = f"{places.base_url}/studies/{study}/series/{series}"
        found |= made(WADORSRetrievalSequence=[made(RetrieveURL=url)])
    return found
