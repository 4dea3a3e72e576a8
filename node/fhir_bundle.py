"""A measurement report → a FHIR R4 transaction: ImagingStudy, Observations, DiagnosticReport. Pure.

Every resource is created on condition that there is none of its identifier (R4 3.1.0.8.1), and identifiers are made of
DICOM's UIDs: what is sent again makes nothing twice. All are preliminary.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydicom.dataset import Dataset

from ai.exam import ImageLaterality
from node.results import _codes
from node.results._codes import PRIVATE_SCHEME, Code
from node.results._told import Told
from node.settings_hl7 import STUDY

Resource = dict[str, Any]

_DICOM_UID = "urn:dicom:uid"
_URI = "urn:ietf:rfc:3986"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
#: Coding Scheme Designator → URI (PS3.16 8-1); our own codes are told by the name of their scheme.
_SYSTEMS = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "UCUM": "http://unitsofmeasure.org",
    PRIVATE_SCHEME: f"urn:mammo-node:{PRIVATE_SCHEME}",
}
_PERCENT = {"unit": "%", "system": _SYSTEMS["UCUM"], "code": "%"}
_NO_UNITS = {"system": _SYSTEMS["UCUM"], "code": "1"}
_SIDES = {ImageLaterality.RIGHT: "right breast", ImageLaterality.LEFT: "left breast"}


def bundle(report: Dataset, told: Told, patient_id_system: str | None, viewer_url: str | None) -> Resource:
    """The transaction. patient_id_system: of the patient's identifier, None where the site names none."""
    subject = _subject(report, patient_id_system)
    study = _entry(_imaging_study(report, subject))
    imaging = {"reference": study["fullUrl"]}
    observations = [_entry(each) for each in _observations(report, told, subject, imaging)]
    results = [{"reference": each["fullUrl"]} for each in observations]
    diagnostic = _diagnostic_report(report, told, subject, viewer_url) | {"imagingStudy": [imaging], "result": results}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [study, *observations, _entry(diagnostic)]}


def _entry(resource: Resource) -> Resource:
    """A conditional create, under a name of its own within the bundle."""
    first = resource["identifier"][0]
    token = f"{first['system']}|{first['value']}"
    kind = resource["resourceType"]
    return {
        "fullUrl": uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}|{token}").urn,
        "resource": resource,
        "request": {"method": "POST", "url": kind, "ifNoneExist": f"identifier={quote(token, safe=':|')}"},
    }


def _subject(report: Dataset, system: str | None) -> Resource:
    """The patient by identifier: whoever takes it knows her, or holds the result until somebody does."""
    value = str(report.get("PatientID") or "")
    if not value:
        return {"type": "Patient", "display": "unknown"}
    identifier: Resource = {"value": value}
    if system is not None:
        identifier["system"] = system
    if issuer := str(report.get("IssuerOfPatientID") or ""):
        identifier["assigner"] = {"display": issuer}
    return {"type": "Patient", "identifier": identifier}


def _imaging_study(report: Dataset, subject: Resource) -> Resource:
    identifiers = [{"system": _DICOM_UID, "value": f"urn:oid:{report.StudyInstanceUID}"}, *_accession(report)]
    modality = {"system": _SYSTEMS["DCM"], "code": "MG"}
    study: Resource = {"resourceType": "ImagingStudy", "identifier": identifiers, "status": "available"}
    if begun := _moment(report, "Study"):
        study["started"] = begun
    return study | {"modality": [modality], "subject": subject}


def _accession(report: Dataset) -> list[Resource]:
    number = str(report.get("AccessionNumber") or "")
    kind = {"coding": [{"system": f"{_TERMINOLOGY}/v2-0203", "code": "ACSN"}]}
    return [{"type": kind, "value": number}] if number else []


def _observations(report: Dataset, told: Told, subject: Resource, imaging: Resource) -> Iterator[Resource]:
    """As in ORU^R01: of an exam that was not read there is a category, and no number."""
    common = {
        "status": "preliminary",
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/observation-category", "code": "imaging"}]}],
        "subject": subject,
        "effectiveDateTime": _moment(report, "Content"),
        "device": {"display": told.algorithm or "mammo-node"},
        "derivedFrom": [imaging],
    }
    for name, concepts, value in _values(told):
        identifier = {"system": _URI, "value": f"urn:oid:{report.SOPInstanceUID}#{name}"}
        coding = {"coding": [_coding(each) for each in concepts]}
        yield {"resourceType": "Observation", "identifier": [identifier], "code": coding, **common, **value}


def _values(told: Told) -> Iterator[tuple[str, tuple[Code, ...], Mapping[str, Any]]]:
    category: Resource = {"valueCodeableConcept": {"coding": [_coding(told.category)]}}
    if told.is_flagged:
        abnormal = {"system": f"{_TERMINOLOGY}/v3-ObservationInterpretation", "code": "A"}
        category["interpretation"] = [{"coding": [abnormal]}]
    if told.reasons:
        category["note"] = [{"text": each.meaning} for each in told.reasons]
    yield "TRIAGE", (_codes.TRIAGE_CATEGORY,), category
    if told.was_read:
        yield "SCORE", (_own("SCORE", "AI score"), told.score_concept), _quantity(told.score, _PERCENT)
    for side, score in told.breasts.items():
        concept = _own(f"SCORE_{side}", f"AI score, {_SIDES[side]}")
        site = {"bodySite": {"coding": [_coding(_codes.BREASTS[side])]}}
        yield f"SCORE_{side}", (concept, told.score_concept), {**_quantity(score, _PERCENT), **site}
    for concept, number in ((_codes.BAND, told.band), (_codes.PERCENTILE, told.percentile)):
        if number:
            yield concept.value, (concept,), _quantity(number, _NO_UNITS)
    if told.composition is not None:
        density = {"valueCodeableConcept": {"coding": [_coding(told.composition)]}}
        yield "DENSITY", (_own("DENSITY", "Breast density"), _codes.BREAST_COMPOSITION), density


def _diagnostic_report(report: Dataset, told: Told, subject: Resource, viewer_url: str | None) -> Resource:
    radiology = {"system": f"{_TERMINOLOGY}/v2-0074", "code": "RAD"}
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": _DICOM_UID, "value": f"urn:oid:{report.SOPInstanceUID}"}],
        "status": "preliminary",
        "category": [{"coding": [radiology]}],
        "code": {"coding": [_coding(_own("AI_TRIAGE", "AI triage of a mammography exam"))]},
        "subject": subject,
        "effectiveDateTime": _moment(report, "Content"),
        "issued": _moment(report, "InstanceCreation"),
        "conclusionCode": [{"coding": [_coding(told.category)]}],
    }
    if told.words:
        made["conclusion"] = told.words
    if accession := _accession(report):
        made["basedOn"] = [{"type": "ServiceRequest", "identifier": accession[0]}]
    if viewer_url is not None:
        url = viewer_url.replace(STUDY, str(report.StudyInstanceUID))
        made["presentedForm"] = [{"contentType": "text/html", "url": url, "title": "Images in the viewer"}]
    return made


def _moment(report: Dataset, which: str) -> str:
    """A date and time of the report; the date alone where no offset is told, "" where there is none."""
    date, time, offset = (
        str(report.get(keyword) or "") for keyword in (f"{which}Date", f"{which}Time", "TimezoneOffsetFromUTC")
    )
    try:
        return datetime.strptime(f"{date}{time.partition('.')[0]}{offset}", "%Y%m%d%H%M%S%z").isoformat()
    except ValueError:
        pass
    try:
        return datetime.strptime(date, "%Y%m%d").date().isoformat()
    except ValueError:
        return ""


def _own(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


def _coding(code: Code) -> Resource:
    system = _SYSTEMS.get(code.scheme, f"urn:mammo-node:{code.scheme}")
    return {"system": system, "code": code.value, "display": code.meaning}


def _quantity(number: str, units: Mapping[str, str]) -> Resource:
    return {"valueQuantity": {"value": float(number), **units}}
