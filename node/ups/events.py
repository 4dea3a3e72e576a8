"""What subscribers are told (PS3.4 Table CC.2.4-1): an event type and its information, as DICOM JSON. Pure."""

from __future__ import annotations

from typing import Any

from node.ups.attributes import Attributes, items, made, tag, value
from storage.ups import State, Workitem

SOP_CLASS = "1.2.840.10008.5.1.4.34.6.4"
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT, ASSIGNED = 1, 2, 3, 5
_PROGRESS = "ProcedureStepProgressInformationSequence"
_ASSIGNMENT = ("ScheduledStationNameCodeSequence", "ScheduledHumanPerformersSequence")
_CANCELLATION = ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence")
_REQUEST = (*_CANCELLATION, "ContactURI", "ContactDisplayName")

#: An event type and its information.
Event = tuple[int, dict[str, Any]]


def state_report(item: Workitem) -> Event:
    """In which state it is, and why it was canceled."""
    told = made(
        ProcedureStepState=str(item.state), InputReadinessState=value(item.attributes, "InputReadinessState") or "READY"
    )
    if item.state is State.CANCELED:
        for progress in items(item.attributes, _PROGRESS):
            told |= _chosen(progress, _CANCELLATION)
    return STATE_REPORT, told


def progress_report(item: Workitem) -> Event:
    """How far it is."""
    return PROGRESS_REPORT, _chosen(item.attributes, (_PROGRESS,))


def cancel_requested(request: Attributes, requesting_ae: str) -> Event:
    """Somebody wants it canceled."""
    return CANCEL_REQUESTED, {**_chosen(request, _REQUEST), **made(RequestingAE=requesting_ae)}


def assigned(item: Workitem) -> Event:
    """Who is to perform it."""
    return ASSIGNED, _chosen(item.attributes, _ASSIGNMENT)


def is_assigned(attributes: Attributes) -> bool:
    """Whether it says who is to perform it."""
    return any(any(items(attributes, each)) for each in _ASSIGNMENT)


def of_update(before: Workitem, after: Workitem) -> list[Event]:
    """What an update is worth telling."""
    found = []
    if _changed(before, after, "InputReadinessState"):
        found.append(state_report(after))
    if _changed(before, after, _PROGRESS):
        found.append(progress_report(after))
    if any(_changed(before, after, each) for each in _ASSIGNMENT):
        found.append(assigned(after))
    return found


def _changed(before: Workitem, after: Workitem, keyword: str) -> bool:
    return before.attributes.get(tag(keyword)) != after.attributes.get(tag(keyword))


def _chosen(attributes: Attributes, keywords: tuple[str, ...]) -> dict[str, Any]:
    return {tag(each): attributes[tag(each)] for each in keywords if tag(each) in attributes}
