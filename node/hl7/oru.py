"""A measurement report → ORU^R01 of HL7 v2.5.1 (chapter 7.3.1). Pure: the same report gives the same bytes.

One OBX for each thing that a RIS may want to sort or show by; docs/hl7.md explains them with an example. All are
preliminary: a radiologist's word is still to come.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import wrap

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from ai.exam import ImageLaterality
from node.hl7.er7 import composed, escaped, message, segment
from node.results import _codes
from node.results._codes import PRIVATE_SCHEME, Code
from node.results._told import Told
from node.settings_hl7 import STUDY, Hl7Receiver

VERSION = "2.5.1"
_PRELIMINARY = "P"
_LINE = 120
_SEXES = frozenset({"F", "M", "O"})
_SCORE = {
    ImageLaterality.RIGHT: ("SCORE_R", "AI score, right breast"),
    ImageLaterality.LEFT: ("SCORE_L", "AI score, left breast"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One OBX. kind: OBX-2. identifier: OBX-3, number: OBX-4, of several alike; value: OBX-5, units: OBX-6.

    Each is a field, escaped.
    """

    kind: str
    identifier: str
    value: str
    number: str = ""
    units: str = ""
    abnormal: str = ""


def control_id(sop_instance_uid: str, destination: str) -> str:
    """MSH-10: the same for the same result and destination, however often it is sent; 20 characters."""
    digest = hashlib.sha256(f"{sop_instance_uid}\n{destination}".encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:20]


def oru(report: Dataset, told: Told, receiver: Hl7Receiver, identifier: str, viewer_url: str | None) -> str:
    """The message. identifier: MSH-10."""
    observed = moment(report, "Content")
    lines = [
        _header(report, receiver, identifier),
        _patient(report),
        _order(report, observed),
        *(_line(n, each, observed, told) for n, each in enumerate(observations(report, told, viewer_url), start=1)),
    ]
    return message(lines)


def moment(report: Dataset, which: str) -> str:
    """A date and time of the report as TS: to the second, with the offset where the report tells it."""
    date, time = (str(report.get(f"{which}{part}") or "") for part in ("Date", "Time"))
    return date + time.partition(".")[0] + str(report.get("TimezoneOffsetFromUTC") or "") if date else ""


def observations(report: Dataset, told: Told, viewer_url: str | None) -> Iterator[Observation]:
    """What is said of the exam. Of one that was not read there is no score, band, or flag: silence is no negative."""
    yield _coded(_own(_codes.TRIAGE_CATEGORY), told.category, "A" if told.is_flagged else "")
    if told.was_read:
        flag = composed("Y", "Yes", "HL70136") if told.is_flagged else composed("N", "No", "HL70136")
        yield Observation(kind="CWE", identifier=_named("FLAG", "Flagged by AI"), value=flag)
        yield from _numbers(told)
    for number, reason in enumerate(told.reasons, start=1):
        yield replace(_coded(_own(_codes.REASON), reason), number=str(number))
    if told.composition is not None:
        density = _named("DENSITY", "Breast density", _codes.BREAST_COMPOSITION)
        yield _coded(density, told.composition)
    if told.words:
        lines = "~".join(escaped(line) for line in wrap(told.words, _LINE))  # of TX each repetition is a line
        yield Observation(kind="TX", identifier=_named("IMPRESSION", "AI result in words"), value=lines)
    study = str(report.StudyInstanceUID)
    dicom_study = composed("113014", "DICOM Study", "DCM")
    yield Observation(kind="HD", identifier=dicom_study, value=composed("", study, "ISO"))
    if viewer_url is not None:
        link = escaped(viewer_url.replace(STUDY, study))
        yield Observation(kind="TX", identifier=_named("VIEWER", "Images in the viewer"), value=link)


def _numbers(told: Told) -> Iterator[Observation]:
    percent, no_units = composed(*_triplet(_codes.PERCENT)), composed(*_triplet(_codes.NO_UNITS))
    scores = [("SCORE", "AI score", told.score)]
    scores += [(*_SCORE[side], score) for side, score in told.breasts.items()]
    for value, meaning, score in scores:
        identifier = _named(value, meaning, told.score_concept)
        yield Observation(kind="NM", identifier=identifier, value=escaped(score), units=percent)
    for concept, number in ((_codes.BAND, told.band), (_codes.PERCENTILE, told.percentile)):
        if number:
            yield Observation(kind="NM", identifier=_own(concept), value=escaped(number), units=no_units)


def _header(report: Dataset, receiver: Hl7Receiver, identifier: str) -> str:
    return segment(
        "MSH",
        {
            3: escaped(receiver.sending_application),
            4: escaped(receiver.sending_facility),
            5: escaped(receiver.receiving_application),
            6: escaped(receiver.receiving_facility),
            7: escaped(moment(report, "InstanceCreation")),
            9: composed("ORU", "R01", "ORU_R01"),
            10: identifier,
            11: receiver.processing_id,
            12: VERSION,
            18: "UNICODE UTF-8",
        },
    )


def _patient(report: Dataset) -> str:
    sex = str(report.get("PatientSex") or "")
    return segment(
        "PID",
        {
            1: "1",
            3: _patient_id(report),
            5: _name(report.get("PatientName")),
            7: escaped(str(report.get("PatientBirthDate") or "")),
            8: sex if sex in _SEXES else "U",
        },
    )


def _patient_id(report: Dataset) -> str:
    """CX: the ID, and its issuer as assigning authority (HD), by name and by universal ID where there is one."""
    issuer = escaped(str(report.get("IssuerOfPatientID") or ""))
    for item in report.get("IssuerOfPatientIDQualifiersSequence") or ():
        universal = [str(item.get(f"UniversalEntityID{part}") or "") for part in ("", "Type")]
        issuer = "&".join([issuer, *map(escaped, universal)]).rstrip("&")
    return f"{escaped(str(report.get('PatientID') or ''))}^^^{issuer}".rstrip("^")


def _name(name: PersonName | str | None) -> str:
    """XPN of the alphabetic group. Prefix and suffix change places between DICOM and HL7."""
    person = PersonName(str(name or ""))
    parts = (person.family_name, person.given_name, person.middle_name, person.name_suffix, person.name_prefix)
    return composed(*(str(part or "") for part in parts))


def _order(report: Dataset, observed: str) -> str:
    request = next(iter(report.get("ReferencedRequestSequence") or ()), Dataset())
    accession = str(report.get("AccessionNumber") or request.get("AccessionNumber") or "")
    return segment(
        "OBR",
        {
            1: "1",
            2: escaped(str(request.get("PlacerOrderNumberImagingServiceRequest") or "")),
            3: escaped(str(report.StudyInstanceUID)),
            4: _service(request, report),
            7: escaped(observed),
            18: escaped(accession),
            19: escaped(str(request.get("RequestedProcedureID") or "")),
            22: escaped(moment(report, "InstanceCreation")),
            24: "RAD",
            25: _PRELIMINARY,
        },
    )


def _service(request: Dataset, report: Dataset) -> str:
    """OBR-4: the procedure that was requested or performed; without one, what this node does."""
    for sequence in (request.get("RequestedProcedureCodeSequence"), report.get("ProcedureCodeSequence")):
        for item in sequence or ():
            parts = [str(item.get(key) or "") for key in ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")]
            if parts[0]:
                return composed(*parts)
    return _named("AI_TRIAGE", "AI triage of a mammography exam")


def _line(number: int, each: Observation, observed: str, told: Told) -> str:
    return segment(
        "OBX",
        {
            1: str(number),
            2: each.kind,
            3: each.identifier,
            4: each.number,
            5: each.value,
            6: each.units,
            8: each.abnormal,
            11: _PRELIMINARY,
            14: escaped(observed),
            17: composed("", told.algorithm),
        },
    )


def _coded(identifier: str, value: Code, abnormal: str = "") -> Observation:
    return Observation(kind="CWE", identifier=identifier, value=composed(*_triplet(value)), abnormal=abnormal)


def _own(concept: Code) -> str:
    return composed(*_triplet(concept))


def _named(value: str, meaning: str, standard: Code | None = None) -> str:
    """CWE of a code of our own, with the standard's for the same beside it."""
    return composed(value, meaning, PRIVATE_SCHEME, *(_triplet(standard) if standard is not None else ()))


def _triplet(code: Code) -> tuple[str, str, str]:
    return code.value, code.meaning, code.scheme
