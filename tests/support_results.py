"""The matrix of the result objects: a report for every kind of exam that they must answer for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from ai.exam import STANDARD_VIEWS
from ai.findings import BreastChange, Category, FindingType, PriorComparison, Reading, Region
from ai.reasons import Caution, CautionCode, Reason, ReasonCode
from node.results import Predecessor, Report
from tests.support_readings import (
    ALGORITHM,
    COLUMNS,
    COMPOSITION,
    MG_FOR_PROCESSING,
    ROWS,
    STUDY,
    finding,
    header,
    instance_uid,
    read_exam,
    report,
    unread_exam,
)

TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
R_CC, L_CC, R_MLO, L_MLO = STANDARD_VIEWS
MASS_AND_CALCIFICATION = (
    finding(L_CC, 1, 0.873),
    finding(L_MLO, 1, 0.773),
    finding(L_CC, 2, 0.34, finding_type=FindingType.CALCIFICATION_CLUSTER),
    finding(L_MLO, 2, 0.29, finding_type=FindingType.CALCIFICATION_CLUSTER),
)
BILATERAL = (
    finding(R_CC, 1, 0.91),
    finding(R_MLO, 1, 0.88, finding_type=FindingType.ARCHITECTURAL_DISTORTION),
    finding(L_CC, 2, 0.66, finding_type=FindingType.CALCIFICATION_CLUSTER),
    finding(L_MLO, 3, 0.22, finding_type=FindingType.SUSPICIOUS_REGION),
)
UNKNOWN_KIND = (
    finding(R_CC, 1, 0.71, finding_type=FindingType.SUSPICIOUS_REGION),
    finding(R_MLO, 1, 0.64, finding_type=FindingType.SUSPICIOUS_REGION),
)
MANY = tuple(finding(STANDARD_VIEWS[n % 4], n // 4 + 1, 0.95 - 0.03 * n) for n in range(25))


def _every_source(**changes: object) -> tuple[Dataset, ...]:
    """The four standard views with these elements."""
    return tuple(header(n, view, **changes) for n, view in enumerate(STANDARD_VIEWS, start=1))


def _named(character_set: object, name: str) -> Report:
    changes = {"SpecificCharacterSet": character_set, "PatientName": name, "ReferringPhysicianName": "Lege^Tove"}
    return report(_suspicious(), _every_source(**changes))


def _bare(reading: Reading) -> Report:
    """Type 2 elements empty, optional ones absent, no character set."""
    empty = dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "StudyTime"), "")
    absent = dict.fromkeys(
        (
            "SpecificCharacterSet",
            "IssuerOfPatientID",
            "PatientAge",
            "StudyDescription",
            "ReferringPhysicianName",
            "RequestAttributesSequence",
            "ContentDate",
            "ContentTime",
            "PositionerPrimaryAngle",
            "SoftwareVersions",
        )
    )
    return report(reading, _every_source(**empty, **absent, PatientName="Demo^Anna"))


def _three_views() -> Report:
    sources = tuple(header(n, view) for n, view in list(enumerate(STANDARD_VIEWS, start=1))[:3])
    return report(unread_exam(Reason(ReasonCode.VIEWS_MISSING, detail="L MLO")), sources)


def _one_breast() -> Report:
    """The left breast could not be read: its images are left out."""
    left_out = (
        Reason(ReasonCode.BREAST_IMPLANT, instance_uid(2)),
        Reason(ReasonCode.BREAST_IMPLANT, instance_uid(4)),
        Reason(ReasonCode.FOR_PROCESSING, instance_uid(9)),
    )
    order = (1, 3, 2, 4)
    sources = tuple(header(n, STANDARD_VIEWS[n - 1]) for n in order)
    raw = header(9, R_CC, SOPClassUID=MG_FOR_PROCESSING, PresentationIntentType="FOR PROCESSING")
    return report(read_exam((R_CC, R_MLO), left_out=left_out), (*sources, raw))


def _one_breast_absent() -> Report:
    """After a mastectomy: there is no image of the left breast."""
    sources = tuple(header(n, STANDARD_VIEWS[n - 1]) for n in (1, 3))
    return report(read_exam((R_CC, R_MLO), findings=(finding(R_CC, 1, 0.4),), category=Category.INDETERMINATE), sources)


def _many_reasons() -> Report:
    reasons = (
        Reason(ReasonCode.FOR_PROCESSING, instance_uid(1)),
        Reason(ReasonCode.FOR_PROCESSING, instance_uid(2)),
        Reason(ReasonCode.BREAST_IMPLANT, instance_uid(3)),
        Reason(ReasonCode.VIEW_MODIFIER, instance_uid(4)),
        Reason(ReasonCode.PHOTOMETRIC_INTERPRETATION, instance_uid(4)),
        Reason(ReasonCode.PIXEL_SPACING, instance_uid(5), "0.194 × 0.194 mm"),
        Reason(ReasonCode.VIEWS_MISSING),
    )
    bare = dict.fromkeys(("ImagerPixelSpacing", "PatientOrientation", "ImageLaterality", "ViewCodeSequence"))
    other = header(5, None, Rows=None, Columns=None, **bare)
    sources = tuple(header(n, view) for n, view in enumerate(STANDARD_VIEWS, start=1))
    return report(unread_exam(*reasons), (*sources, other))


def _no_mammogram() -> Report:
    capture = header(1, None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", Rows=512, Columns=512)
    return report(unread_exam(Reason(ReasonCode.NO_IMAGES)), (capture,))


def _three_of_four() -> Report:
    """The left MLO could not be decoded."""
    left_out = (Reason(ReasonCode.PIXEL_DATA_UNDECODABLE, instance_uid(4)),)
    findings = (finding(L_CC, 1, 0.873), finding(R_MLO, 2, 0.31, finding_type=FindingType.ARCHITECTURAL_DISTORTION))
    read = read_exam((R_CC, L_CC, R_MLO), findings=findings, category=Category.SUSPICIOUS, left_out=left_out)
    return report(read)


def _with_raw_siblings() -> Report:
    """Each For Presentation image with the For Processing one that it was made from."""
    raw = {"SOPClassUID": MG_FOR_PROCESSING, "PresentationIntentType": "FOR PROCESSING"}
    siblings = tuple(header(n + 4, view, **raw) for n, view in enumerate(STANDARD_VIEWS, start=1))
    left_out = tuple(Reason(ReasonCode.FOR_PROCESSING, instance_uid(n)) for n in range(5, 9))
    return report(replace(_suspicious(), left_out=left_out), (*_every_source(), *siblings))


def _with_tomosynthesis() -> Report:
    """Projections, which are read, beside volumes and synthesized images, which are not."""
    volumes = {"SOPClassUID": TOMOSYNTHESIS, "ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]}
    synthesized = {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "MAXIMUM"]}
    others = [header(n + 4, view, NumberOfFrames=60, **volumes) for n, view in enumerate(STANDARD_VIEWS, start=1)]
    others += [header(n + 8, view, **synthesized) for n, view in enumerate(STANDARD_VIEWS, start=1)]
    left_out = [Reason(ReasonCode.TOMOSYNTHESIS, instance_uid(n)) for n in range(5, 9)]
    left_out += [Reason(ReasonCode.SYNTHESIZED_2D, instance_uid(n)) for n in range(9, 13)]
    return report(replace(_suspicious(), left_out=tuple(left_out)), (*_every_source(), *others))


def _inverted_with_tables() -> Report:
    """MONOCHROME1, with look-up tables beside windows."""
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [256, 0, 16], "NORMAL"
    table["LUTData"] = DataElement("LUTData", "OW", bytes(range(256)) * 2)
    windows = {"WindowCenter": [2047, 1800], "WindowWidth": [4095, 3000], "VOILUTFunction": "SIGMOID"}
    shape = {"PhotometricInterpretation": "MONOCHROME1", "PixelRepresentation": 0, "VOILUTSequence": [table]}
    return report(_suspicious(), _every_source(**windows, **shape))


def _windowed() -> Report:
    windows = {"WindowCenter": [2047, 1800], "WindowWidth": [4095, 3000], "VOILUTFunction": "SIGMOID"}
    return report(_suspicious(), _every_source(**windows, WindowCenterWidthExplanation=["NORMAL", "HARDER"]))


def _at_the_edges() -> Report:
    """Marks in the corners, and one that is the whole image."""
    corners = ((0, 0, 90, 70), (COLUMNS - 40.5, ROWS - 300, COLUMNS, ROWS), (0, 0, COLUMNS, ROWS))
    regions = [
        Region(sop_instance_uid=instance_uid(2), left=float(a), top=float(b), right=float(c), bottom=float(d))
        for a, b, c, d in corners
    ]
    types = (FindingType.CALCIFICATION_CLUSTER, FindingType.SOFT_TISSUE, FindingType.ARCHITECTURAL_DISTORTION)
    findings = tuple(
        finding(L_CC, n, 0.9 - 0.2 * n, region=region, finding_type=types[n - 1])
        for n, region in enumerate(regions, start=1)
    )
    return report(read_exam(findings=findings, category=Category.SUSPICIOUS), previews={})


def _prior_exam(reading: Reading, before: Reading) -> Report:
    old = _every_source(StudyInstanceUID=STUDY + ".9", StudyDate="20241014")
    for n, source in enumerate(old, start=1):
        source.SOPInstanceUID, source.SeriesInstanceUID = f"{STUDY}.9.{n}", f"{STUDY}.9.1.{n}"
    return report(reading, prior=(replace(before, study_instance_uid=STUDY + ".9"), "20241014"), prior_sources=old)


def _with_prior() -> Report:
    before = read_exam(findings=(finding(L_CC, 1, 0.14),), category=Category.INDETERMINATE)
    return _prior_exam(replace(_suspicious(), composition=COMPOSITION), before)


def _compared_with_prior() -> Report:
    """On equipment without a reference population, by a strategy that read the prior itself."""
    one = _with_prior()
    before = one.prior[0] if one.prior else one.reading
    now = {breast.image_laterality: breast.probability for breast in one.reading.breasts}
    changes = tuple(
        BreastChange(
            image_laterality=each.image_laterality,
            prior_probability=each.probability,
            probability=now[each.image_laterality],
        )
        for each in before.breasts
    )
    compared = PriorComparison(
        study_instance_uid=STUDY + ".9",
        study_date="20241014",
        algorithm=ALGORITHM,
        breasts=changes,
        score=before.score,
        percentile=before.percentile,
        band=before.band,
        change_weight=0.5,
    )
    caution = Caution(CautionCode.NO_REFERENCE_POPULATION)
    algorithm = replace(ALGORITHM, parameters=("reference window: all",))
    reading = replace(one.reading, algorithm=algorithm, prior=compared, strategy="with_priors", cautions=(caution,))
    return report(reading, prior_sources=one.prior_sources)


def earlier(number: int, kind: str, sop_class: str) -> Predecessor:
    """An object of an earlier revision; sop_class: what follows 1.2.840.10008.5.1.4.1.1."""
    return Predecessor(
        study_instance_uid=STUDY,
        series_instance_uid=f"2.25.11{number}",
        sop_class_uid=f"1.2.840.10008.5.1.4.1.1.{sop_class}",
        sop_instance_uid=f"2.25.12{number}",
        kind=kind,
    )


#: What a first revision left, and the note of a second.
SUPERSEDED = (
    earlier(1, "mammography_cad_sr", "88.50"),
    earlier(2, "measurement_sr", "88.34"),
    earlier(3, "summary_sc", "7"),
    earlier(4, "presentation_state", "11.1"),
    earlier(5, "key_objects", "88.59"),
    earlier(6, "rejection_note", "88.59"),
)


def revised(one: Report) -> Report:
    """The same report as another revision, so that every kind that can has something to say."""
    reading = replace(one.reading, revision=one.reading.revision + 1)
    return replace(one, reading=reading, predecessors={"": SUPERSEDED[1]}, superseded=SUPERSEDED)


def _bilateral_revised() -> Report:
    return revised(report(read_exam(findings=BILATERAL, category=Category.SUSPICIOUS)))


def _uncalibrated() -> Report:
    algorithm = replace(ALGORITHM, calibrated=False, labelling="")
    return report(read_exam(findings=(finding(R_CC, 1, 0.3),), category=Category.INDETERMINATE, algorithm=algorithm))


def _suspicious() -> Reading:
    return read_exam(findings=MASS_AND_CALCIFICATION, category=Category.SUSPICIOUS)


#: Every kind of exam a result object must answer for.
CASES: dict[str, Callable[[], Report]] = {
    "positive": lambda: report(_suspicious()),
    "negative": lambda: report(read_exam(composition=COMPOSITION)),
    "indeterminate_uncalibrated": _uncalibrated,
    "suspicious_without_marks": lambda: report(read_exam(category=Category.SUSPICIOUS)),
    "bilateral_revised": _bilateral_revised,
    "many_findings": lambda: report(read_exam(findings=MANY, category=Category.SUSPICIOUS)),
    "one_breast_left_out": _one_breast,
    "one_breast_absent": _one_breast_absent,
    "three_views_of_four": _three_of_four,
    "of_unknown_kind": lambda: report(read_exam(findings=UNKNOWN_KIND, category=Category.SUSPICIOUS)),
    "bilateral": lambda: report(read_exam(findings=BILATERAL, category=Category.SUSPICIOUS)),
    "with_prior_and_composition": _with_prior,
    "compared_with_prior_on_unknown_equipment": _compared_with_prior,
    "negative_with_prior": lambda: _prior_exam(read_exam(), read_exam()),
    "with_unread_prior": lambda: _prior_exam(_suspicious(), unread_exam()),
    "with_raw_siblings": _with_raw_siblings,
    "with_tomosynthesis": _with_tomosynthesis,
    "inverted_with_tables": _inverted_with_tables,
    "windowed": _windowed,
    "marks_at_the_edges": _at_the_edges,
    "latin_1": lambda: _named("ISO_IR 100", "Sæther^Åse Bjørg"),
    "latin_4": lambda: _named("ISO_IR 110", "Čáppa^Áŋŋa Đuođđá"),
    "iso_2022": lambda: _named(["", "ISO 2022 IR 100", "ISO 2022 IR 110"], "Sæther^Čuŋŋá"),
    "iso_2022_kanji": lambda: _named(["", "ISO 2022 IR 87"], "Yamada^Hanako=山田^花子=やまだ^はなこ"),
    "empty_type_2": lambda: _bare(_suspicious()),
    "not_read_three_views": _three_views,
    "not_read_many_reasons": _many_reasons,
    "not_read_model_failed": lambda: report(unread_exam(Reason(ReasonCode.MODEL_FAILED))),
    "not_read_no_mammogram": _no_mammogram,
}

_OF_THE_EXAM = {
    ReasonCode.NO_IMAGES,
    ReasonCode.VIEWS_MISSING,
    ReasonCode.PATIENT_CONFLICT,
    ReasonCode.STUDY_DATE_CONFLICT,
    ReasonCode.PATIENT_AGE,
    ReasonCode.PATIENT_SEX,
    ReasonCode.READER_FAILED,
    ReasonCode.MODEL_FAILED,
    ReasonCode.OUT_OF_MEMORY,
}


def _unread_because(code: ReasonCode) -> Report:
    of_the_exam = Reason(code, detail="3 attempts" if code is ReasonCode.READER_FAILED else "")
    reasons = (
        [of_the_exam] if code in _OF_THE_EXAM else [Reason(code, instance_uid(4)), Reason(ReasonCode.VIEWS_MISSING)]
    )
    return report(unread_exam(*reasons))


#: An exam that was not read, for every reason there is.
REASONS: dict[str, Callable[[], Report]] = {
    f"not_read_{code.lower()}": partial(_unread_because, code) for code in ReasonCode
}
MATRIX = {**REASONS, **CASES}


def enclosed(graphic_data: Iterable[float]) -> list[float]:
    """Left, top, right, bottom of what a POLYLINE encloses."""
    data = [round(float(value), 3) for value in graphic_data]
    return [min(data[0::2]), min(data[1::2]), max(data[0::2]), max(data[1::2])]
