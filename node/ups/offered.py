"""What this node offers to perform, and what an item asks for (IHE AIW-I: algorithms, and their inputs). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.settings_ups import UpsSettings
from node.ups.attributes import Attributes, code, items, tag, value
from storage.objects import is_valid_uid


@dataclass(frozen=True, slots=True)
class Input:
    """What an item names: one study, the instances of it that must be here (none: whatever there is), who has them."""

    study_instance_uid: str
    sop_instance_uids: frozenset[str]
    retrieve_ae_titles: tuple[str, ...]


class NoInput(ValueError):
    """The item names no input that could be read; the message says why."""


def is_offered(attributes: Attributes, settings: UpsSettings) -> bool:
    """Whether its Scheduled Workitem Code is one that this node performs."""
    mine = {(each.value, each.scheme) for each in settings.workitem_codes}
    return any(
        (value(each, "CodeValue"), value(each, "CodingSchemeDesignator")) in mine
        for each in items(attributes, "ScheduledWorkitemCodeSequence")
    )


def is_ours(attributes: Attributes, settings: UpsSettings, ae_title: str) -> bool:
    """Whether this node performs the item: named as its station, or no station named and the code is offered."""
    if not settings.performs:
        return False
    stations = {value(each, "CodeValue") for each in items(attributes, "ScheduledStationNameCodeSequence")}
    return ae_title in stations if stations else is_offered(attributes, settings)


def codes(settings: UpsSettings) -> list[dict[str, Any]]:
    """The offered codes as items of a code sequence."""
    return [code(each.value, each.scheme, each.meaning or each.value) for each in settings.workitem_codes]


def study_of(attributes: Attributes) -> str:
    """Study Instance UID of the input; "" where there is none, or several."""
    try:
        return input_of(attributes).study_instance_uid
    except NoInput:
        return ""


def input_of(attributes: Attributes) -> Input:
    """What the item names as its input. Raises NoInput.

    Where several studies are named, the item's own Study Instance UID says which is to be read: the others may be
    priors, which this node finds by itself.
    """
    own = value(attributes, "StudyInstanceUID")
    named = list(items(attributes, "InputInformationSequence"))
    studies = dict.fromkeys(uid for each in named if (uid := value(each, "StudyInstanceUID")))
    if not studies and not own:
        raise NoInput("InputInformationSequence names no study")
    if len(studies) > 1 and own not in studies:
        raise NoInput(f"InputInformationSequence names {len(studies)} studies, and StudyInstanceUID none of them")
    uid = own if own in studies or not studies else next(iter(studies))
    if not is_valid_uid(uid):
        raise NoInput("InputInformationSequence: StudyInstanceUID is not a UID")
    of_study = [each for each in named if value(each, "StudyInstanceUID") == uid]
    references = (ref for each in of_study for ref in items(each, "ReferencedSOPSequence"))
    wanted = frozenset(found for ref in references if (found := value(ref, "ReferencedSOPInstanceUID")))
    return Input(uid, wanted, tuple(dict.fromkeys(ae for each in of_study for ae in _sources(each))))


def _sources(item: Attributes) -> list[str]:
    found = [each.get(tag("RetrieveAETitle")) or {} for each in items(item, "DICOMRetrievalSequence")]
    return [str(ae).strip() for each in found for ae in each.get("Value") or () if ae]
