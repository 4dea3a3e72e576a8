"""The matrix of the result objects: a report for every kind of exam that they must answer for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ai.exam import STANDARD_VIEWS
from ai.findings import BreastChange, Category, FindingType, PriorComparison, Reading
from ai.reasons import Reason, ReasonCode
from node.results import Predecessor, Report
from tests.support_readings import (
    ALGORITHM,
    COMPOSITION,
    MG_FOR_PROCESSING,
    STUDY,
    finding,
    header,
    instance_uid,
    read_exam,
    report,
    unread_exam,
)

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
    finding(L_MLO, 3, 0.22),
)
MANY = tuple(finding(STANDARD_VIEWS[n % 4], n // 4 + 1, 0.95 - 0.03 * n) for n in range(25))


def _latin(reading: Reading) -> Report:
    changes = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Sæther^Åse Bjørg"}
    return report(reading, tuple(header(n, view, **changes) for n, view in enumerate(STANDARD_VIEWS, start=1)))


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
    changes = {**empty, **absent, "PatientName": "Demo^Anna"}
    return report(reading, tuple(header(n, view, **changes) for n, view in enumerate(STANDARD_VIEWS, start=1)))


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


def _with_prior() -> Report:
    before = read_exam(
        findings=(finding(L_CC, 1, 0.14),), category=Category.INDETERMINATE, study_instance_uid=STUDY + ".9"
    )
    old = tuple(
        header(n, view, StudyInstanceUID=STUDY + ".9", SOPInstanceUID=f"{STUDY}.9.{n}", StudyDate="20241014")
        for n, view in enumerate(STANDARD_VIEWS, start=1)
    )
    reading = read_exam(findings=MASS_AND_CALCIFICATION, category=Category.SUSPICIOUS, composition=COMPOSITION)
    return report(reading, prior=(before, "20241014"), prior_sources=old)


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
    caution = Reason(ReasonCode.NO_REFERENCE_POPULATION)
    reading = replace(one.reading, prior=compared, strategy="with_priors", cautions=(caution,))
    return report(reading, prior_sources=one.prior_sources)


def _revised() -> Report:
    predecessor = Predecessor(
        study_instance_uid=STUDY,
        series_instance_uid="2.25.11",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid="2.25.12",
    )
    reading = read_exam(findings=BILATERAL, category=Category.SUSPICIOUS, revision=2)
    return report(reading, predecessors={"": predecessor}, superseded=(predecessor,))


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
    "bilateral_revised": _revised,
    "many_findings": lambda: report(read_exam(findings=MANY, category=Category.SUSPICIOUS)),
    "one_breast_left_out": _one_breast,
    "one_breast_absent": _one_breast_absent,
    "with_prior_and_composition": _with_prior,
    "compared_with_prior_on_unknown_equipment": _compared_with_prior,
    "latin_1": lambda: _latin(_suspicious()),
    "empty_type_2": lambda: _bare(_suspicious()),
    "not_read_three_views": _three_views,
    "not_read_many_reasons": _many_reasons,
    "not_read_model_failed": lambda: report(unread_exam(Reason(ReasonCode.MODEL_FAILED))),
    "not_read_no_mammogram": _no_mammogram,
}
