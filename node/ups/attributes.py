"""The attributes of a work item as DICOM JSON, and what they must be (PS3.4 Table CC.2.5-3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.valuerep import VR

from node import dicom_json
from node.query import Key
from node.ups import faults
from storage.objects import is_valid_uid
from storage.ups import State

#: DICOM JSON of a data set, or of an item of a sequence.
Attributes = Mapping[str, Any]

SOP_CLASS = "1.2.840.10008.5.1.4.34.6.1"
_LARGEST = 1_000_000  # bytes of an item's JSON
_UNREADABLE = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(NotImplementedError, Warning, BytesLengthException),
)


def tag(keyword: str) -> str:
    """Eight hex digits."""
    found = tag_for_keyword(keyword)
    if found is None:
        raise KeyError(keyword)
    return f"{found:08X}"


def made(**values: Any) -> dict[str, Any]:
    """DICOM JSON of elements by keyword: a value, a list of values, or none of them. Sequences: lists of items."""
    found = {}
    for keyword, value in values.items():
        several = value if isinstance(value, list | tuple) else [] if value in (None, "") else [value]
        at = tag(keyword)
        vr = dictionary_VR(int(at, 16)).partition(" or ")[0]
        found[at] = {"vr": vr, "Value": list(several)} if several else {"vr": vr}
    return found


def code(value: str, scheme: str, meaning: str) -> dict[str, Any]:
    """An item of a code sequence."""
    return made(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def value(attributes: Attributes, keyword: str) -> str:
    """The first value as text; "" where there is none."""
    values = (attributes.get(tag(keyword)) or {}).get("Value") or [""]
    return "" if values[0] is None or isinstance(values[0], Mapping) else str(values[0]).strip()


def items(attributes: Attributes, *keywords: str) -> Iterator[Attributes]:
    """The items of a sequence; of several keywords, of the sequences within one another."""
    first, *inner = keywords
    for each in (attributes.get(tag(first)) or {}).get("Value") or ():
        if isinstance(each, Mapping):
            yield from items(each, *inner) if inner else (each,)


def cleaned(given: Attributes) -> dict[str, Any]:
    """DICOM JSON that somebody sent, as this node writes it. Raises InvalidValue where it is none."""
    try:
        _check_elements(given)
        dataset = Dataset.from_json(dict(given))
    except _UNREADABLE as error:
        raise faults.InvalidValue(f"the attributes are no DICOM JSON (PS3.18 F): {type(error).__name__}") from error
    return of_dataset(dataset)


def _check_elements(given: Attributes) -> None:
    """Raises ValueError or LookupError for an element without a VR that there is."""
    for element in given.values():
        if VR(element["vr"]) is VR.SQ:
            for item in element.get("Value") or ():
                _check_elements(item)


def of_dataset(dataset: Dataset) -> dict[str, Any]:
    """The attributes of a data set, without command elements and binary values. Raises InvalidValue."""
    found = dicom_json.attributes(dataset)
    kept = {at: element for at, element in found.items() if not at.startswith(("0000", "0002"))}
    if len(dicom_json.encoded(kept)) > _LARGEST:
        raise faults.InvalidValue(f"the attributes are too large; allowed: {_LARGEST} bytes of JSON")
    for keyword in ("TransactionUID", "StudyInstanceUID"):
        uid = value(kept, keyword)
        if uid and not is_valid_uid(uid):
            raise faults.InvalidValue(f"{keyword}: this is not a UID (PS3.5 9.1)")
    return kept


def to_dataset(attributes: Attributes) -> Dataset:
    """The attributes as a data set in UTF-8."""
    dataset = Dataset.from_json(dict(attributes))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    return dataset


def keys(wanted: Attributes) -> Iterator[Key]:
    """A filter's attributes as keys of the matcher."""
    for at, element in wanted.items():
        values = element.get("Value") or ()
        if element["vr"] == "SQ":
            yield Key(at, "SQ", items=tuple(key for item in values[:1] for key in keys(item)))
        elif at != "00080005":
            texts = (each.get("Alphabetic", "") if isinstance(each, Mapping) else str(each) for each in values)
            yield Key(at, element["vr"], tuple(texts))


def of_keys(wanted: Iterable[Key]) -> dict[str, Any]:
    """Keys of the matcher as a filter's attributes."""
    return {
        key.tag: {"vr": key.vr, "Value": [of_keys(key.items)] if key.vr == "SQ" else _values(key)} for key in wanted
    }


def _values(key: Key) -> list[Any]:
    return [{"Alphabetic": each} for each in key.values] if key.vr == "PN" else list(key.values)


# ---------------------------------------------------------------- creation

_ONE = (
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
    "ProcedureStepState",
)
_TWO = (
    "WorklistLabel",
    "ScheduledProcessingParametersSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledWorkitemCodeSequence",
    "CommentsOnTheScheduledProcedureStep",
    "InputInformationSequence",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "ReferencedRequestSequence",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)
_ALLOWED = {
    "ScheduledProcedureStepPriority": ("HIGH", "MEDIUM", "LOW"),
    "InputReadinessState": ("INCOMPLETE", "UNAVAILABLE", "READY"),
}
_PERFORMERS = ("ProcedureStepProgressInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence")
_FIXED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "ReferencedRequestSequence",
)


def created(given: Attributes, sop_instance_uid: str) -> tuple[dict[str, Any], bool]:
    """A new item's attributes, and whether any was added to those given. Raises WorkitemRefused."""
    for keyword in _ONE:
        if tag(keyword) not in given:
            raise faults.MissingAttribute(f"{keyword}: it is missing")
        if not value(given, keyword):
            raise faults.MissingValue(f"{keyword}: it has no value")
    if value(given, "ProcedureStepState") != State.SCHEDULED:
        raise faults.NotScheduled("ProcedureStepState: the value is not allowed; allowed: SCHEDULED")
    if value(given, "TransactionUID"):
        raise faults.InvalidValue(
            "TransactionUID: the value is not allowed; allowed: none, nobody has claimed the item"
        )
    for keyword in _PERFORMERS:
        if any(items(given, keyword)):
            raise faults.InvalidValue(f"{keyword}: the value is not allowed; allowed: none in a new item")
    _check_values(given)
    added = made(**dict.fromkeys(each for each in _TWO if tag(each) not in given))
    fixed = made(SOPClassUID=SOP_CLASS, SOPInstanceUID=sop_instance_uid)
    kept = {at: element for at, element in given.items() if at != tag("TransactionUID")}
    return {**kept, **added, **fixed}, bool(added)


def _check_values(given: Attributes) -> None:
    """Raises InvalidValue for a value that is none of those enumerated."""
    for keyword, allowed in _ALLOWED.items():
        if tag(keyword) in given and value(given, keyword) not in allowed:
            raise faults.InvalidValue(f"{keyword}: the value is not allowed; allowed: {', '.join(allowed)}")


# ---------------------------------------------------------------- update


def updated(before: Attributes, given: Attributes, state: State) -> dict[str, Any]:
    """An item's attributes after an update; a sequence replaces the whole of what was there. Raises WorkitemRefused."""
    _check_values(given)
    wanted = value(given, "ProcedureStepState")
    if wanted and wanted != state:
        raise faults.InvalidValue("ProcedureStepState: an update does not change it; ask for a change of state")
    for keyword in _FIXED:
        if tag(keyword) in given and given[tag(keyword)].get("Value") != (before.get(tag(keyword)) or {}).get("Value"):
            raise faults.InvalidValue(f"{keyword}: it cannot be changed")
    if state is State.SCHEDULED and any(tag(keyword) in given for keyword in _PERFORMERS):
        raise faults.NotInProgress("what is performed can be told when the item is IN PROGRESS")
    return {**before, **{at: element for at, element in given.items() if at != tag("TransactionUID")}}


# ---------------------------------------------------------------- final states

_PERFORMED = (
    "PerformedStationNameCodeSequence",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedProcedureStepEndDateTime",
)


def check_final(attributes: Attributes, wanted: State) -> None:
    """Raises FinalStateNotMet unless everything is there that COMPLETED or CANCELED requires."""
    if wanted is State.COMPLETED:
        performed = next(items(attributes, "UnifiedProcedureStepPerformedProcedureSequence"), {})
        missing = [each for each in _PERFORMED if not (performed.get(tag(each)) or {}).get("Value")]
        if tag("OutputInformationSequence") not in performed:
            missing.append("OutputInformationSequence")
    else:
        progress = next(items(attributes, "ProcedureStepProgressInformationSequence"), {})
        reason = "ProcedureStepDiscontinuationReasonCodeSequence"
        missing = [] if any(items(progress, reason)) else [reason]
    if missing:
        raise faults.FinalStateNotMet(f"{wanted} requires: {', '.join(missing)}")
