"""The header of every result object: identity copied unchanged from the source study, and who made the result.

A copied element keeps its value and its bytes: the source's Specific Character Set is copied with it, and what
this node writes itself stays inside that character set (PS3.5 6.1.2.3).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from pydantic import BaseModel
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.findings import Algorithm
from node.results import Report, _uids
from node.results._assertions import require_complete
from node.results._codes import PRIVATE_SCHEME, PROCESSING_EQUIPMENT, Code
from node.results._text import encodable

# Type 2 in Patient (C.7.1.1), General Study (C.7.2.1): present even when the source lacks them.
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_COPIED = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "StudyInstanceUID",
    "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "PatientBirthTime",
    "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthName", "EthnicGroup",
    "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyDescription", "IssuerOfAccessionNumberSequence", "ProcedureCodeSequence",
    "ReferringPhysicianIdentificationSequence", "PhysiciansOfRecord", "ReferencedStudySequence",
    "PatientAge", "PatientSize", "PatientWeight", "AdmissionID", "IssuerOfAdmissionIDSequence",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
)  # fmt: skip
_UNCHANGED = frozenset((*_COPIED, *_TYPE_2, "RequestAttributesSequence", "ReferencedRequestSequence"))
# characters that a value may have (PS3.5 6.2); None: no limit that matters here
_TEXT_VRS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UC": None, "UT": None}
# what pydicom raises for a malformed value when it is first touched
_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, NotImplementedError)
_REQUEST_TYPE_2 = (
    "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "ReferencedStudySequence",
)  # fmt: skip


def code_item(code: Code) -> Dataset:
    """One Code Sequence item; a value over 16 characters goes to Long Code Value (PS3.3 8.1)."""
    item = Dataset()
    keyword = "CodeValue" if len(code.value) <= 16 else "LongCodeValue"
    setattr(item, keyword, code.value)
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def reference_item(source: Dataset) -> Dataset:
    """A Referenced SOP Sequence item for `source`."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def new_object(report: Report, kind: str, options: BaseModel, sop_class_uid: UID, part: str = "") -> Dataset:
    """A dataset with file_meta, copied identity, series, equipment and SOP Common; the caller adds the rest.

    kind: the module's name, part of the UIDs, as is `part`: see `node.results`. Deterministic. Instance Number is the
    revision; a kind of several parts numbers them.
    Raises InvalidResult when the reading names an image that is not among the report's sources.
    """
    require_complete(report.reading, report.sources)
    dataset = _copied(report.sources[0])
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = _uids.sop_instance_uid(report, kind, options, part)
    dataset.SeriesInstanceUID = _uids.series_instance_uid(report, kind, options)
    dataset.InstanceNumber = report.reading.revision
    started_at = _source_local(report.reading.started_at, dataset)
    dataset.ContentDate, dataset.ContentTime = _date(started_at), _time(started_at)
    dataset.SeriesDate, dataset.SeriesTime = dataset.ContentDate, dataset.ContentTime
    created_at = report.created_at.astimezone(started_at.tzinfo)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = _date(created_at), _time(created_at)
    device = report.device
    dataset.Manufacturer = device.manufacturer
    dataset.ManufacturerModelName = device.manufacturer_model_name
    dataset.SoftwareVersions = device.software_version
    dataset.StationName = device.station_name
    if device.institution_name:
        dataset.InstitutionName = device.institution_name
    dataset.ContributingEquipmentSequence = [_equipment(report, algorithm) for algorithm in _algorithms(report)]
    dataset.file_meta = _file_meta(dataset)
    return dataset


def declare_private_codes(dataset: Dataset) -> None:
    """Say whose the private coding scheme is (PS3.3 C.12.1.1.11)."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = _uids.derived_uid("mammo-node", "coding scheme")
    item.CodingSchemeName = "mammo-node triage result"
    item.CodingSchemeVersion = "1"
    item.CodingSchemeResponsibleOrganization = "mammo-node"
    dataset.CodingSchemeIdentificationSequence = [item]


def evidence(sources: Iterable[Dataset]) -> list[Dataset]:
    """Hierarchical SOP Instance References (PS3.3 C.17.2.1) to `sources`, by study and series."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for source in sources:
        series = studies.setdefault(source.StudyInstanceUID, {}).setdefault(source.SeriesInstanceUID, [])
        if all(other.ReferencedSOPInstanceUID != source.SOPInstanceUID for other in series):
            series.append(reference_item(source))
    return [_study_reference(uid, series) for uid, series in studies.items()]


def _study_reference(study_instance_uid: str, series: dict[str, list[Dataset]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for series_instance_uid, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_instance_uid
        item.ReferencedSOPSequence = references
        study.ReferencedSeriesSequence.append(item)
    return study


def add_request_attributes(dataset: Dataset, source: Dataset) -> None:
    """Copy the source's Request Attributes Sequence (General Series, C.7.3.1) unchanged, where it has one."""
    if source.get("RequestAttributesSequence"):
        dataset["RequestAttributesSequence"] = copy.deepcopy(source["RequestAttributesSequence"])


def referenced_requests(source: Dataset) -> list[Dataset]:
    """The source's requests as an SR's Referenced Request Sequence (C.17.2); empty where it names none."""
    requests = []
    for attributes in source.get("RequestAttributesSequence") or []:
        request = Dataset()
        for keyword in _REQUEST_TYPE_2:
            origin = attributes if keyword in attributes else source if keyword == "AccessionNumber" else None
            _copy_element(origin, request, keyword)
            if keyword not in request:
                setattr(request, keyword, [] if keyword.endswith("Sequence") else "")
        request.StudyInstanceUID = source.StudyInstanceUID
        for keyword in ("IssuerOfAccessionNumberSequence", "ReasonForTheRequestedProcedure"):
            _copy_element(attributes, request, keyword)
        requests.append(request)
    return requests


def keep_character_set(dataset: Dataset) -> None:
    """Fit what this node wrote to the copied character set, and to the length of its value representation."""
    _keep_encodable(dataset, own_text_encoding(dataset), skipped=_UNCHANGED)


def own_text_encoding(source: Dataset) -> str:
    """The Python codec that this node's own text must fit: of the first value of Specific Character Set."""
    values = source.get("SpecificCharacterSet") or ""
    first = values if isinstance(values, str) else values[0]
    # without a value, or with code extensions from ISO 646, only ASCII is safe (PS3.5 6.1.2.1)
    if not first or first in ("ISO_IR 6", "ISO 2022 IR 6"):
        return "ascii"
    try:
        return str(convert_encodings([first])[0])
    except LookupError:
        return "ascii"


def _keep_encodable(dataset: Dataset, encoding: str, skipped: frozenset[str]) -> None:
    for element in dataset:
        if element.keyword in skipped:
            continue
        if element.VR == "SQ":
            for item in element.value:
                _keep_encodable(item, encoding, frozenset())
        elif element.VR in _TEXT_VRS and element.value:
            values = [element.value] if isinstance(element.value, str) else list(element.value)
            fitted = [encodable(str(value), encoding)[: _TEXT_VRS[element.VR]] for value in values]
            element.value = fitted[0] if len(fitted) == 1 else fitted


def _copied(source: Dataset) -> Dataset:
    dataset = Dataset()
    for keyword in (*_COPIED, *_TYPE_2):
        _copy_element(source, dataset, keyword)
    for keyword in _TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    return dataset


def _copy_element(source: Dataset | None, dataset: Dataset, keyword: str) -> None:
    if source is None or keyword not in source:
        return
    try:
        dataset[keyword] = copy.deepcopy(source[keyword])
    except _UNREADABLE:
        return  # a malformed element is not carried on


def _source_local(moment: datetime, dataset: Dataset) -> datetime:
    """`moment` in the source's own offset, which also holds for the copied dates; sets it where there is none."""
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", str(dataset.get("TimezoneOffsetFromUTC") or ""))
    if match:
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return moment.astimezone(timezone(-offset if sign == "-" else offset))
    dataset.TimezoneOffsetFromUTC = moment.strftime("%z")[:5]
    return moment


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


def _time(moment: datetime) -> str:
    return moment.strftime("%H%M%S.%f")


def _algorithms(report: Report) -> Sequence[Algorithm]:
    composition = report.reading.composition
    return (report.reading.algorithm,) if composition is None else (report.reading.algorithm, composition.algorithm)


def _equipment(report: Report, algorithm: Algorithm) -> Dataset:
    """A Contributing Equipment item (C.12.1.1.5): the node running this algorithm."""
    device, reading = report.device, report.reading
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = algorithm.manufacturer or device.manufacturer
    if device.institution_name:
        item.InstitutionName = device.institution_name
    item.StationName = device.station_name
    item.ManufacturerModelName = algorithm.name
    item.SoftwareVersions = [algorithm.version, f"{device.manufacturer_model_name} {device.software_version}"]
    item.DeviceUID = _uids.device_uid(device, algorithm, reading.calibration_version, reading.preprocessing_version)
    item.ContributionDateTime = reading.started_at.strftime("%Y%m%d%H%M%S.%f%z")[:26]
    # the one place that every kind of object has for which result it belongs to
    item.ContributionDescription = (
        f"AI reading of a screening exam, result {_uids.result_uid(report)}, revision {reading.revision}, "
        f"weights {algorithm.weights_sha256[:16] or 'none'}"
    )
    return item


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uids.IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = _uids.IMPLEMENTATION_VERSION_NAME
    return meta
