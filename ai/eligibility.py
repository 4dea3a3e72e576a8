"""May this exam be read? A reason code for every refusal; the header is never guessed at.

The rules are data (`EligibilityRules`), versioned and kept beside the model card in a bundle. One view gets one
reason: the first that holds, in the order written here. What only the pixels can tell (undecodable, wrong side)
comes back through `unreadable`: the reader judges again without those images, so a repeat may take their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ai.exam import STANDARD_VIEWS, Exam, StandardView, View
from ai.reasons import Reason, ReasonCode

LOSSLESS_TRANSFER_SYNTAXES = tuple(
    str(uid)
    for uid in (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        HTJ2KLossless,
        HTJ2KLosslessRPCL,
        RLELossless,
    )
)
#: These may have lost something; whether they did is not always written in the header, so they count as lossy.
LOSSY_TRANSFER_SYNTAXES = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K))

_TOMOSYNTHESIS_CLASSES = frozenset(
    (
        BreastTomosynthesisImageStorage,
        BreastProjectionXRayImageStorageForPresentation,
        BreastProjectionXRayImageStorageForProcessing,
    )
)
_SECONDARY_CAPTURE_ROOT = "1.2.840.10008.5.1.4.1.1.7"
#: Image Type (0008,0008) values: PS3.3 C.8.7.2.1.1 and C.8.31.1, and what vendors wrote before those.
_SYNTHESIZED_TYPES = frozenset(("GENERATED_2D", "TOMO_2D"))
_TOMOSYNTHESIS_TYPES = frozenset(("TOMO", "TOMO_PROJ", "TOMOSYNTHESIS"))


class Span(BaseModel):
    """A closed range: low and high are both allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


class EligibilityRules(BaseModel):
    """What a model may be given. Spacing in mm at the detector; age in whole years on the study date.

    A missing age or sex is accepted unless `age_required` or `sexes` without "" says otherwise, and so is a missing
    magnification factor (estimated, of the X-ray geometry: magnification views have 1.5 and more).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = "2"
    sop_classes: tuple[str, ...] = (str(DigitalMammographyXRayImageStorageForPresentation),)
    transfer_syntaxes: tuple[str, ...] = LOSSLESS_TRANSFER_SYNTAXES
    photometric_interpretations: tuple[str, ...] = ("MONOCHROME1", "MONOCHROME2")
    bits_stored: Span = Span(low=8, high=16)
    rows: Span = Span(low=512, high=8192)
    columns: Span = Span(low=384, high=8192)
    imager_pixel_spacing_mm: Span = Span(low=0.04, high=0.205)
    magnification_factor: Span = Span(low=0.9, high=1.3)
    synthesized_2d: bool = False
    view_modifiers: tuple[str, ...] = ()
    age_years: Span = Span(low=18, high=110)
    age_required: bool = False
    sexes: tuple[str, ...] = ("F", "O", "")


@dataclass(frozen=True, slots=True)
class Eligible:
    """The exam may be read: one image for each standard view, and why the others are left out."""

    views: Mapping[StandardView, View]
    left_out: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Ineligible:
    """The exam may not be read. `reasons` begins with the exam's own; `left_out` has what did not matter for it."""

    reasons: tuple[Reason, ...]
    left_out: tuple[Reason, ...]


def judge(exam: Exam, rules: EligibilityRules, unreadable: Iterable[Reason] = ()) -> Eligible | Ineligible:
    """The four images to read, or why the exam is not read.

    unreadable: images already found unusable by their pixels, each with its reason (sop_instance_uid set).
    Of several eligible images of a view, the latest by `acquired_at` is chosen, then the highest SOP Instance UID.
    """
    known = {reason.sop_instance_uid: reason for reason in unreadable}
    refused: list[Reason] = []
    candidates: dict[StandardView, list[View]] = {}
    for view in exam.views:
        reason = known.get(view.sop_instance_uid) or judge_view(view, rules)
        if reason is not None:
            refused.append(reason)
        elif view.standard_view is not None:
            candidates.setdefault(view.standard_view, []).append(view)

    chosen = {standard: max(views, key=_recency) for standard, views in candidates.items()}
    repeats = tuple(
        Reason(ReasonCode.REPEAT, view.sop_instance_uid, str(standard))
        for standard, views in candidates.items()
        for view in views
        if view is not chosen[standard]
    )
    if conflicts := (*_identity_reasons(exam), *_woman_reasons(exam, rules)):
        return Ineligible(conflicts, (*refused, *repeats))
    if len(chosen) == len(STANDARD_VIEWS):
        return Eligible({standard: chosen[standard] for standard in STANDARD_VIEWS}, (*refused, *repeats))
    return _incomplete(exam, chosen, refused, repeats)


def judge_view(view: View, rules: EligibilityRules) -> Reason | None:
    """Why this image may not be read, or None. The first reason that holds is the one given."""
    found = _kind(view, rules) or _what_is_shown(view, rules) or _encoding(view, rules)
    return None if found is None else Reason(found[0], view.sop_instance_uid, found[1])


def _kind(view: View, rules: EligibilityRules) -> tuple[ReasonCode, str] | None:
    """Is it the kind of image the model reads?"""
    uid, mammography = view.sop_class_uid, view.modality == "MG"
    types = {value.upper() for value in view.image_type}
    synthesized = view.synthesized_2d or bool(types & _SYNTHESIZED_TYPES)
    from_tomosynthesis = bool(types & _TOMOSYNTHESIS_TYPES)
    for_processing = uid == DigitalMammographyXRayImageStorageForProcessing
    several_frames = view.number_of_frames > 1
    checks = (
        (uid.startswith(_SECONDARY_CAPTURE_ROOT), ReasonCode.SECONDARY_CAPTURE, ""),
        (view.digitised_film, ReasonCode.SECONDARY_CAPTURE, "digitised film"),
        (not mammography, ReasonCode.NOT_MAMMOGRAPHY, f"modality '{view.modality}'"),
        (uid in _TOMOSYNTHESIS_CLASSES or uid == CTImageStorage, ReasonCode.TOMOSYNTHESIS, ""),
        (synthesized and not rules.synthesized_2d, ReasonCode.SYNTHESIZED_2D, ""),
        (from_tomosynthesis and not synthesized, ReasonCode.TOMOSYNTHESIS, "Image Type"),
        (for_processing or view.presentation_intent_type == "FOR PROCESSING", ReasonCode.FOR_PROCESSING, ""),
        (uid not in rules.sop_classes, ReasonCode.NOT_MAMMOGRAPHY, f"SOP class {uid}"),
        (several_frames, ReasonCode.TOMOSYNTHESIS, f"{view.number_of_frames} frames"),
        (view.contrast_enhanced, ReasonCode.CONTRAST_ENHANCED, ""),
    )
    return _first(checks)


def _what_is_shown(view: View, rules: EligibilityRules) -> tuple[ReasonCode, str] | None:
    """Is it one of the four views of a whole, native breast?"""
    modifiers = _modifiers(view, rules)
    checks = (
        (view.quality_control_image, ReasonCode.QUALITY_CONTROL_IMAGE, ""),
        (view.specimen, ReasonCode.SPECIMEN, ""),
        (view.image_laterality is None, ReasonCode.LATERALITY_MISSING, ""),
        (view.laterality_contradicted, ReasonCode.LATERALITY_CONTRADICTED, "by another element of the header"),
        (view.view_position is None, ReasonCode.NOT_STANDARD_VIEW, ""),
        (bool(modifiers), ReasonCode.VIEW_MODIFIER, ", ".join(modifiers)),
        (view.partial_view, ReasonCode.PARTIAL_VIEW, ""),
        (view.breast_implant_present, ReasonCode.BREAST_IMPLANT, ""),
        (view.burned_in_annotation, ReasonCode.BURNED_IN_ANNOTATION, ""),
    )
    return _first(checks)


def _modifiers(view: View, rules: EligibilityRules) -> list[str]:
    """View modifiers that the card does not allow, and what shows a modified view where it is not coded."""
    found = sorted(set(view.view_modifiers) - set(rules.view_modifiers))
    if any(value.upper().startswith("STEREO") for value in view.image_type):
        found.append("stereo")
    if view.special_paddle:
        found.append("paddle")
    if view.magnification_factor is not None and view.magnification_factor not in rules.magnification_factor:
        found.append(f"magnification {view.magnification_factor:g}")
    return found


def _encoding(view: View, rules: EligibilityRules) -> tuple[ReasonCode, str] | None:
    """Are the stored pixels of a form on the model card?"""
    syntax, spacing = view.transfer_syntax_uid, view.imager_pixel_spacing_mm
    photometric_known = view.photometric_interpretation in rules.photometric_interpretations
    depth_known = view.bits_allocated in (8, 16) and view.bits_stored in rules.bits_stored
    size_known = view.rows in rules.rows and view.columns in rules.columns
    spacing_known = spacing is not None and all(side in rules.imager_pixel_spacing_mm for side in spacing)
    lossy = view.lossy_image_compression or syntax in LOSSY_TRANSFER_SYNTAXES
    checks = (
        (lossy, ReasonCode.LOSSY_COMPRESSION, ""),
        (bool(syntax) and syntax not in rules.transfer_syntaxes, ReasonCode.TRANSFER_SYNTAX, syntax),
        (
            not photometric_known or view.samples_per_pixel != 1,
            ReasonCode.PHOTOMETRIC_INTERPRETATION,
            f"'{view.photometric_interpretation}', {view.samples_per_pixel} sample(s) per pixel",
        ),
        (not depth_known, ReasonCode.BIT_DEPTH, f"{view.bits_stored} of {view.bits_allocated} bits"),
        (view.bits_stored > view.bits_allocated, ReasonCode.BIT_DEPTH, "more bits stored than allocated"),
        (not size_known, ReasonCode.MATRIX_SIZE, f"{view.rows} × {view.columns}"),
        (not spacing_known, ReasonCode.PIXEL_SPACING, "missing" if spacing is None else f"{spacing[0]} × {spacing[1]}"),
    )
    return _first(checks)


def _first(checks: Iterable[tuple[bool, ReasonCode, str]]) -> tuple[ReasonCode, str] | None:
    return next(((code, detail) for holds, code, detail in checks if holds), None)


def _recency(view: View) -> tuple[str, str]:
    return view.acquired_at, view.sop_instance_uid


def _identity_reasons(exam: Exam) -> tuple[Reason, ...]:
    """All images, read or not, must be of one woman and one day: another woman's image may be any of them."""
    patients = {view.patient_id for view in exam.views}
    issuers = {view.issuer_of_patient_id for view in exam.views} - {""}
    born = {view.patient_birth_date for view in exam.views} - {""}
    dates = {view.study_date for view in exam.views} - {""}
    reasons = []
    if len(patients) > 1 or len(issuers) > 1 or len(born) > 1:
        reasons.append(Reason(ReasonCode.PATIENT_CONFLICT))
    if len(dates) > 1:
        reasons.append(Reason(ReasonCode.STUDY_DATE_CONFLICT))
    return tuple(reasons)


def _woman_reasons(exam: Exam, rules: EligibilityRules) -> tuple[Reason, ...]:
    reasons = []
    ages = {_age_years(view) for view in exam.views if view.modality == "MG"}
    outside = [age for age in ages if age is not None and age not in rules.age_years]
    if outside or (rules.age_required and None in ages):
        reasons.append(Reason(ReasonCode.PATIENT_AGE, detail="outside the card" if outside else "missing"))
    if any(view.patient_sex not in rules.sexes for view in exam.views if view.modality == "MG"):
        reasons.append(Reason(ReasonCode.PATIENT_SEX))
    return tuple(reasons)


def _age_years(view: View) -> int | None:
    """Whole years on the study date, or what Patient's Age says where that cannot be told."""
    try:
        born, studied = date.fromisoformat(view.patient_birth_date), date.fromisoformat(view.study_date)
    except ValueError:
        return view.patient_age_years
    return studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))


def _incomplete(
    exam: Exam, chosen: Mapping[StandardView, View], refused: list[Reason], repeats: tuple[Reason, ...]
) -> Ineligible:
    """Which views are missing, and the refusals that may explain it; the others are merely left out."""
    if all(reason.code is ReasonCode.NOT_MAMMOGRAPHY for reason in refused) and not chosen:
        return Ineligible((Reason(ReasonCode.NO_IMAGES),), tuple(refused))
    standard_views = {view.sop_instance_uid: view.standard_view for view in exam.views}
    missing = [standard for standard in STANDARD_VIEWS if standard not in chosen]
    explaining = [reason for reason in refused if standard_views[reason.sop_instance_uid] not in chosen]
    others = [reason for reason in refused if reason not in explaining]
    first = Reason(ReasonCode.VIEWS_MISSING, detail=", ".join(map(str, missing)))
    return Ineligible((first, *explaining), (*others, *repeats))
