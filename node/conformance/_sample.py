"""Made-up readings from which result objects are built, so that the statement tells what they hold and not what was
meant: one report for each way in which objects differ, and the first one again with one thing changed.

No pixels, no model, no patient. Every element of the modules a result may copy from is filled in the full sources and
left out, or empty, in the bare ones.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from PIL import Image
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, ViewPosition
from ai.findings import (
    Algorithm,
    BreastAssessment,
    BreastComposition,
    Category,
    CompositionAssessment,
    Finding,
    FindingType,
    HeatMap,
    InputInstance,
    Reading,
    Region,
    Stratum,
    ViewAssessment,
)
from ai.reasons import Reason, ReasonCode
from node.conformance import _modules
from node.results import Device, Report

#: By the key of the sources; regions and outlines fit both.
_MATRICES = {"2": (3400, 2600)}
_MATRIX = (3328, 2560)
_READ_AT = datetime(2026, 1, 5, 9, 30, 0, 250000, tzinfo=UTC)
_VIEW_CODES = {
    ViewPosition.CC: ("399162004", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "medio-lateral oblique"),
}
_ORIENTATIONS = {"R CC": ["P", "L"], "L CC": ["A", "R"], "R MLO": ["P", "FL"], "L MLO": ["A", "FR"]}
_REQUIRED = {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"}
_ALGORITHM = Algorithm(
    name="sample",
    version="1",
    manufacturer="sample",
    parameters=("first parameter", "second parameter"),
    weights_sha256="0" * 64,
    labelling="Made up.",
    calibrated=True,
)
_OTHER_ALGORITHM = replace(_ALGORITHM, name="other", version="2", manufacturer="other", weights_sha256="1" * 64)
_COMPOSITION = CompositionAssessment(
    composition=BreastComposition.C, probabilities=(0.1, 0.2, 0.6, 0.1), algorithm=replace(_ALGORITHM, parameters=())
)
_FINDINGS = (
    ("R CC", 1, FindingType.SOFT_TISSUE),
    ("R MLO", 1, FindingType.SOFT_TISSUE),
    ("L CC", 2, FindingType.CALCIFICATION_CLUSTER),
    ("L MLO", 2, FindingType.CALCIFICATION_CLUSTER),
    ("L MLO", 3, FindingType.ARCHITECTURAL_DISTORTION),
    ("R MLO", 4, FindingType.SUSPICIOUS_REGION),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """reports: name → report, the fullest first. The others are the fullest with its sources, its reading or the

    node's configuration exchanged: what differs in the objects then follows from that.
    """

    reports: Mapping[str, Report]
    other_source: Report
    other_reading: Report
    other_device: Report

    @property
    def full(self) -> Report:
        """The fullest report."""
        return next(iter(self.reports.values()))


def samples(device: Device) -> Samples:
    """All of them, made by `device`; the same in every call."""
    full, later = _full(device, "1"), _READ_AT + timedelta(days=1, hours=1)
    return Samples(
        reports={
            "suspicious": full,
            "negative": _report(replace(_read(Category.NEGATIVE), composition=_COMPOSITION), _plain(), device),
            "negative, revised": _report(replace(_read(Category.NEGATIVE), revision=2), _plain(), device),
            "one breast read, negative": _one_breast(device, Category.NEGATIVE),
            "one breast read, one region, not calibrated": _uncalibrated(device),
            "not read: refused": _unread(device, ReasonCode.VIEWS_MISSING, ReasonCode.PATIENT_AGE),
            "not read: failed": _unread(device, ReasonCode.MODEL_FAILED),
        },
        other_source=_full(device, "2"),
        other_reading=replace(
            full,
            reading=replace(_positive("1"), revision=3, started_at=later, score=0.4, algorithm=_OTHER_ALGORITHM),
            created_at=later,
        ),
        other_device=replace(full, device=replace(device, station_name="OTHER", institution_name="Other")),
    )


def _full(device: Device, key: str) -> Report:
    device = device if device.institution_name else replace(device, institution_name="Sample")
    earlier = _sources(key, full=True, study=_uid(key, 9), first=20)
    prior = replace(_read(Category.NEGATIVE), study_instance_uid=_uid(key, 9))
    return replace(
        _report(_positive(key), _sources(key, full=True), device), prior=(prior, "20240105"), prior_sources=earlier
    )


def _uncalibrated(device: Device) -> Report:
    report = _one_breast(device, Category.INDETERMINATE)
    finding = _finding("R CC", 1, FindingType.SOFT_TISSUE, "")
    algorithm = replace(_ALGORITHM, calibrated=False, labelling="", parameters=())
    return replace(report, reading=replace(report.reading, algorithm=algorithm, findings=(finding,)))


def _one_breast(device: Device, category: Category) -> Report:
    """The left breast was not read."""
    right = tuple(view for view in STANDARD_VIEWS if view.image_laterality is ImageLaterality.RIGHT)
    left_out = tuple(Reason(ReasonCode.BREAST_IMPLANT, _uid("", number)) for number in (12, 14))
    return _report(replace(_read(category, right), left_out=left_out), _plain(), device)


def _unread(device: Device, *codes: ReasonCode) -> Report:
    """Two images are left out; one of them tells of itself only that it is there."""
    sources = _plain()
    for keyword in ("ImageLaterality", "ViewPosition", "ViewCodeSequence", "PatientOrientation", "ImagerPixelSpacing"):
        delattr(sources[-1], keyword)
    reading = Reading(
        study_instance_uid=_uid("", 1),
        revision=1,
        algorithm=_ALGORITHM,
        category=Category.NOT_READ,
        started_at=_READ_AT,
        reasons=tuple(Reason(code) for code in codes),
        left_out=(Reason(ReasonCode.REPEAT, _uid("", 11)), Reason(ReasonCode.NOT_STANDARD_VIEW, _uid("", 14))),
        eligibility_version="1",
    )
    return _report(reading, sources, device)


def _positive(key: str) -> Reading:
    composition = replace(_COMPOSITION, algorithm=_ALGORITHM)
    findings = tuple(_finding(view, lesion, kind, key) for view, lesion, kind in _FINDINGS)
    read = _read(Category.SUSPICIOUS, STANDARD_VIEWS, key)
    return replace(read, revision=2, findings=findings, composition=composition)


def _read(category: Category, views: tuple[StandardView, ...] = STANDARD_VIEWS, key: str = "") -> Reading:
    uids = {view: _uid(key, 11 + STANDARD_VIEWS.index(view)) for view in views}
    sides = dict.fromkeys(view.image_laterality for view in views)
    return Reading(
        study_instance_uid=_uid(key, 1),
        revision=1,
        algorithm=_ALGORITHM,
        category=category,
        started_at=_READ_AT,
        score=0.5,
        percentile=50.0,
        band=5,
        breasts=tuple(BreastAssessment(image_laterality=side, probability=0.5) for side in sides),
        views=tuple(_assessed(uid, view) for view, uid in uids.items()),
        heat_maps=tuple(
            HeatMap(sop_instance_uid=uid, rows=2, columns=2, values=b"\0\0\0\xff") for uid in uids.values()
        ),
        stratum=Stratum(manufacturer="Sample", manufacturer_model_name="S", software_versions="1"),
        inputs=tuple(_input(uid, view, key) for view, uid in uids.items()),
        strategy="screening",
        calibration_version="1",
        preprocessing_version="1",
        eligibility_version="1",
    )


def _assessed(uid: str, view: StandardView) -> ViewAssessment:
    outline = ((100.0, 300.0), (1500.0, 300.0), (1500.0, 3000.0), (100.0, 3000.0))
    return ViewAssessment(sop_instance_uid=uid, standard_view=view, probability=0.5, breast_outline=outline)


def _input(uid: str, view: StandardView, key: str) -> InputInstance:
    return InputInstance(
        sop_instance_uid=uid,
        sop_class_uid=_sop_class_uid(key),
        standard_view=view,
        rows=_MATRICES.get(key, _MATRIX)[0],
        columns=_MATRICES.get(key, _MATRIX)[1],
        pixel_sha256="0" * 64,
    )


def _finding(name: str, lesion: int, finding_type: FindingType, key: str) -> Finding:
    view = next(view for view in STANDARD_VIEWS if str(view) == name)
    left, top = 200.0 + 300 * lesion, 1000.0
    uid = _uid(key, 11 + STANDARD_VIEWS.index(view))
    return Finding(
        region=Region(sop_instance_uid=uid, left=left, top=top, right=left + 200, bottom=top + 200),
        finding_type=finding_type,
        probability=0.9,
        image_laterality=view.image_laterality,
        lesion=lesion,
    )


def _report(reading: Reading, sources: tuple[Dataset, ...], device: Device) -> Report:
    buffer = io.BytesIO()
    Image.new("L", (_MATRIX[1] // 32, _MATRIX[0] // 32), 90).save(buffer, "PNG")
    return Report(
        reading=reading,
        sources=sources,
        device=device,
        created_at=_READ_AT + timedelta(minutes=1),
        previews={str(source.SOPInstanceUID): buffer.getvalue() for source in sources},
    )


def _plain() -> tuple[Dataset, ...]:
    return _sources("", full=False)


def _sources(key: str, *, full: bool, study: str = "", first: int = 11) -> tuple[Dataset, ...]:
    return tuple(_header(view, key, study or _uid(key, 1), first + n, full) for n, view in enumerate(STANDARD_VIEWS))


def _header(view: StandardView, key: str, study: str, number: int, full: bool) -> Dataset:
    """A mammogram's header; `key` goes into every value that a result may copy."""
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _fill(source, key, full)
    source.SOPClassUID, source.SOPInstanceUID = _sop_class_uid(key), _uid(key, number)
    source.StudyInstanceUID, source.SeriesInstanceUID = study, _uid(key, 2)
    source.Modality, source.PresentationIntentType = "MG", "FOR PRESENTATION"
    source.Manufacturer, source.ManufacturerModelName, source.SoftwareVersions = "Sample", "S", "1"
    source.Rows, source.Columns = _MATRICES.get(key, _MATRIX)
    source.SamplesPerPixel, source.PhotometricInterpretation = 1, f"MONOCHROME{key or 2}"
    source.BitsAllocated, source.BitsStored, source.HighBit, source.PixelRepresentation = 16, 12, 11, 0
    source.ImagerPixelSpacing = ["0.07", "0.07"]
    source.WindowCenter, source.WindowWidth = f"{2048 + number}", f"{4000 + number + len(key)}"
    source.ImageLaterality, source.ViewPosition = str(view.image_laterality), str(view.view_position)
    source.ViewCodeSequence = [_code(*_VIEW_CODES[view.view_position], "SCT")]
    source.PatientOrientation = _ORIENTATIONS[str(view)]
    if full:
        _fill_seldom(source, key)
    return source


def _fill_seldom(source: Dataset, key: str) -> None:
    """What a plain mammogram may lack and a result tells of."""
    source.ContentDate = source.AcquisitionDate = "20260105"
    source.ContentTime = source.AcquisitionTime = "081500"
    source.PositionerPrimaryAngle = "45"
    source.ViewCodeSequence[0].ViewModifierCodeSequence = [_code("399209000", "axillary tail", "SCT")]
    source.LossyImageCompression = "01"
    source.LossyImageCompressionRatio = key
    source.LossyImageCompressionMethod = {"1": "ISO_10918_1", "2": "ISO_14495_1"}[key]


def _fill(source: Dataset, key: str, full: bool) -> None:
    """Every element of the modules that a result may copy, or of those only what a study cannot be without."""
    source.SpecificCharacterSet = "ISO_IR 192" if key != "2" else "ISO_IR 100"
    if not full:
        for keyword in _REQUIRED:
            setattr(source, keyword, "")
        del source.SpecificCharacterSet
        return
    for keyword in _modules.copied_from():
        setattr(source, keyword, _value(keyword, key))
    source.TimezoneOffsetFromUTC = f"+0{key}00"
    source.RequestAttributesSequence = [_request(key)]


def _request(key: str) -> Dataset:
    request = Dataset()
    for keyword in ("RequestedProcedureID", "RequestedProcedureDescription", "ScheduledProcedureStepID"):
        setattr(request, keyword, _value(keyword, key))
    request.AccessionNumber = _value("AccessionNumber", key)
    request.RequestedProcedureCodeSequence = [_code(key, "sample", "99SAMPLE")]
    request.ReasonForTheRequestedProcedure = key
    for keyword in ("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"):
        setattr(request, keyword, _value(keyword, key))
    request.ReferencedStudySequence = _value("ReferencedStudySequence", key)
    request.IssuerOfAccessionNumberSequence = _value("IssuerOfAccessionNumberSequence", key)
    return request


def _value(keyword: str, key: str) -> object:
    """Something that the element's value representation allows, another one for another key."""
    vr = dictionary_VR(Tag(keyword))
    plain = {"DA": f"1960010{key}", "TM": f"08000{key}", "AS": f"06{key}Y", "UI": _uid(key, 3), "DS": key, "IS": key}
    if keyword in ("PatientIdentityRemoved", "PatientSex"):
        return {"PatientSex": ("F", "O"), "PatientIdentityRemoved": ("YES", "NO")}[keyword][int(key) - 1]
    if vr == "SQ":
        return [_code(key, "sample", "99SAMPLE") if keyword.endswith("CodeSequence") else _item(keyword, key)]
    return plain.get(vr, f"SAMPLE {key}")


def _item(keyword: str, key: str) -> Dataset:
    item = Dataset()
    if keyword.startswith("Referenced"):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = f"1.2.840.10008.3.1.2.3.{key}", _uid(key, 4)
    else:
        item.LocalNamespaceEntityID = f"SAMPLE {key}"
    return item


def _sop_class_uid(key: str) -> str:
    """Of the sources: results of the second are nonsense, but what they tell of the class is then seen to be told."""
    other = DigitalMammographyXRayImageStorageForProcessing
    return str(other if key == "2" else DigitalMammographyXRayImageStorageForPresentation)


def _code(value: str, meaning: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _uid(key: str, number: int) -> str:
    """Under the root of examples; never sent anywhere."""
    return f"1.2.826.0.1.3680043.8.498.{key or '3'}.{number}"
