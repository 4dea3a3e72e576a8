"""Which exams and images may be read, and the exact code of every refusal."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ai.eligibility import EligibilityRules, Eligible, Ineligible, judge, judge_view
from ai.exam import STANDARD_VIEWS, Exam, ImageLaterality, StandardView, View, ViewPosition
from ai.reasons import Reason, ReasonCode

RULES = EligibilityRules()
FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
R_CC = StandardView(ImageLaterality.RIGHT, ViewPosition.CC)


def a_view(number: int = 1, standard: StandardView = R_CC, **changes: object) -> View:
    """A readable image; `changes` spoil it."""
    view = View(
        sop_instance_uid=f"1.2.{number}",
        sop_class_uid=FOR_PRESENTATION,
        series_instance_uid="1.3",
        study_instance_uid="1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="MG",
        image_type=("DERIVED", "PRIMARY"),
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        presentation_intent_type="FOR PRESENTATION",
        photometric_interpretation="MONOCHROME2",
        rows=2294,
        columns=1914,
        bits_allocated=16,
        bits_stored=12,
        imager_pixel_spacing_mm=(0.1, 0.1),
        acquired_at="20240102090000",
        study_date="20240102",
        patient_id="P1",
        issuer_of_patient_id="H",
        patient_birth_date="19650607",
        patient_sex="F",
    )
    return replace(view, **changes)  # type: ignore[arg-type]


def an_exam(*extra: View, without: tuple[StandardView, ...] = ()) -> Exam:
    """An exam of the four standard views and `extra` ones."""
    four = [a_view(i, standard) for i, standard in enumerate(STANDARD_VIEWS, 1) if standard not in without]
    return Exam(
        study_instance_uid="1.4",
        patient_id="P1",
        issuer_of_patient_id="H",
        accession_number="A1",
        study_date="20240102",
        views=(*four, *extra),
    )


SPOILED = [
    ({"modality": "US"}, ReasonCode.NOT_MAMMOGRAPHY),
    ({"modality": "CT", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, ReasonCode.NOT_MAMMOGRAPHY),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1"}, ReasonCode.NOT_MAMMOGRAPHY),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2.1"}, ReasonCode.FOR_PROCESSING),
    ({"presentation_intent_type": "FOR PROCESSING"}, ReasonCode.FOR_PROCESSING),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.13.1.3"}, ReasonCode.TOMOSYNTHESIS),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.13.1.4"}, ReasonCode.TOMOSYNTHESIS),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, ReasonCode.TOMOSYNTHESIS),
    ({"number_of_frames": 50}, ReasonCode.TOMOSYNTHESIS),
    ({"image_type": ("ORIGINAL", "PRIMARY", "TOMO_PROJ")}, ReasonCode.TOMOSYNTHESIS),
    ({"image_type": ("DERIVED", "PRIMARY", "TOMO", "GENERATED_2D")}, ReasonCode.SYNTHESIZED_2D),
    ({"image_type": ("DERIVED", "PRIMARY", "TOMO_2D")}, ReasonCode.SYNTHESIZED_2D),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}, ReasonCode.SECONDARY_CAPTURE),
    ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7.2", "modality": "OT"}, ReasonCode.SECONDARY_CAPTURE),
    ({"view_position": None}, ReasonCode.NOT_STANDARD_VIEW),
    ({"view_modifiers": ("399055006",)}, ReasonCode.VIEW_MODIFIER),
    ({"image_laterality": None}, ReasonCode.LATERALITY_MISSING),
    ({"partial_view": True}, ReasonCode.PARTIAL_VIEW),
    ({"breast_implant_present": True}, ReasonCode.BREAST_IMPLANT),
    ({"quality_control_image": True}, ReasonCode.QUALITY_CONTROL_IMAGE),
    ({"specimen": True}, ReasonCode.SPECIMEN),
    ({"burned_in_annotation": True}, ReasonCode.BURNED_IN_ANNOTATION),
    ({"lossy_image_compression": True}, ReasonCode.LOSSY_COMPRESSION),
    ({"transfer_syntax_uid": "1.2.840.10008.1.2.4.50"}, ReasonCode.LOSSY_COMPRESSION),
    ({"transfer_syntax_uid": "1.2.840.10008.1.2.4.91"}, ReasonCode.LOSSY_COMPRESSION),
    ({"transfer_syntax_uid": "1.2.840.10008.1.2.4.203"}, ReasonCode.LOSSY_COMPRESSION),
    ({"transfer_syntax_uid": "1.2.3.4"}, ReasonCode.TRANSFER_SYNTAX),
    ({"photometric_interpretation": "RGB", "samples_per_pixel": 3}, ReasonCode.PHOTOMETRIC_INTERPRETATION),
    ({"photometric_interpretation": ""}, ReasonCode.PHOTOMETRIC_INTERPRETATION),
    ({"samples_per_pixel": 3}, ReasonCode.PHOTOMETRIC_INTERPRETATION),
    ({"bits_stored": 0}, ReasonCode.BIT_DEPTH),
    ({"bits_stored": 17}, ReasonCode.BIT_DEPTH),
    ({"bits_allocated": 32}, ReasonCode.BIT_DEPTH),
    ({"bits_allocated": 8}, ReasonCode.BIT_DEPTH),
    ({"rows": 0}, ReasonCode.MATRIX_SIZE),
    ({"columns": 20000}, ReasonCode.MATRIX_SIZE),
    ({"imager_pixel_spacing_mm": None}, ReasonCode.PIXEL_SPACING),
    ({"imager_pixel_spacing_mm": (0.1, 0.9)}, ReasonCode.PIXEL_SPACING),
]


def codes(reasons: tuple[Reason, ...]) -> list[ReasonCode]:
    return [reason.code for reason in reasons]


def test_a_plain_image_and_a_plain_exam_are_readable() -> None:
    assert judge_view(a_view(), RULES) is None
    verdict = judge(an_exam(), RULES)
    assert isinstance(verdict, Eligible)
    assert tuple(verdict.views) == STANDARD_VIEWS
    assert verdict.left_out == ()


@pytest.mark.parametrize(("changes", "code"), SPOILED, ids=[f"{c.value}-{i}" for i, (_, c) in enumerate(SPOILED)])
def test_every_refusal_has_its_code(changes: dict[str, object], code: ReasonCode) -> None:
    reason = judge_view(a_view(**changes), RULES)
    assert reason is not None, f"{changes} was not refused"
    assert (reason.code, reason.sop_instance_uid) == (code, "1.2.1")


@pytest.mark.parametrize(("changes", "code"), SPOILED, ids=[f"{c.value}-{i}" for i, (_, c) in enumerate(SPOILED)])
def test_a_bad_extra_image_is_left_out_and_the_exam_still_read(changes: dict[str, object], code: ReasonCode) -> None:
    verdict = judge(an_exam(a_view(9, **changes)), RULES)
    assert isinstance(verdict, Eligible)
    assert codes(verdict.left_out) == [code]


def test_a_refused_standard_view_makes_the_exam_unread_and_both_reasons_are_told() -> None:
    verdict = judge(an_exam(a_view(9, breast_implant_present=True), without=(R_CC,)), RULES)
    assert isinstance(verdict, Ineligible)
    assert verdict.reasons == (
        Reason(ReasonCode.VIEWS_MISSING, detail="R CC"),
        Reason(ReasonCode.BREAST_IMPLANT, "1.2.9"),
    )


def test_images_that_do_not_explain_the_missing_view_are_only_left_out() -> None:
    raw_sibling = a_view(9, STANDARD_VIEWS[1], presentation_intent_type="FOR PROCESSING")
    verdict = judge(an_exam(raw_sibling, without=(R_CC,)), RULES)
    assert isinstance(verdict, Ineligible)
    assert codes(verdict.reasons) == [ReasonCode.VIEWS_MISSING]
    assert codes(verdict.left_out) == [ReasonCode.FOR_PROCESSING]


def test_the_latest_repeat_is_chosen() -> None:
    later, earlier = a_view(9, acquired_at="20240102091500"), a_view(8, acquired_at="20240102085900")
    verdict = judge(an_exam(later, earlier), RULES)
    assert isinstance(verdict, Eligible)
    assert verdict.views[R_CC] is later
    assert [(r.code, r.sop_instance_uid) for r in verdict.left_out] == [
        (ReasonCode.REPEAT, "1.2.1"),
        (ReasonCode.REPEAT, "1.2.8"),
    ]


def test_of_repeats_at_one_moment_the_highest_uid_is_chosen() -> None:
    verdict = judge(an_exam(a_view(9)), RULES)
    assert isinstance(verdict, Eligible)
    assert verdict.views[R_CC].sop_instance_uid == "1.2.9"


def test_a_repeat_stands_in_for_an_image_whose_pixels_are_unusable() -> None:
    unusable = Reason(ReasonCode.PIXEL_DATA_SHORT, "1.2.9", "10 of 20 bytes")
    verdict = judge(an_exam(a_view(9)), RULES, unreadable=[unusable])
    assert isinstance(verdict, Eligible)
    assert verdict.views[R_CC].sop_instance_uid == "1.2.1"
    assert verdict.left_out == (unusable,)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"patient_id": "P2"}, ReasonCode.PATIENT_CONFLICT),
        ({"issuer_of_patient_id": "OTHER"}, ReasonCode.PATIENT_CONFLICT),
        ({"study_date": "20240103"}, ReasonCode.STUDY_DATE_CONFLICT),
        ({"patient_birth_date": "19650608"}, ReasonCode.PATIENT_CONFLICT),
        ({"patient_birth_date": "", "patient_age_years": 4}, ReasonCode.PATIENT_AGE),
        ({"patient_sex": "M"}, ReasonCode.PATIENT_SEX),
    ],
)
def test_an_exam_of_two_women_or_outside_the_card_is_not_read(changes: dict[str, object], code: ReasonCode) -> None:
    verdict = judge(an_exam(a_view(9, **changes)), RULES)
    assert isinstance(verdict, Ineligible)
    assert codes(verdict.reasons) == [code]


def test_another_womans_image_counts_even_where_it_is_no_mammogram() -> None:
    verdict = judge(an_exam(a_view(9, modality="US", patient_id="P2")), RULES)
    assert isinstance(verdict, Ineligible)
    assert codes(verdict.reasons) == [ReasonCode.PATIENT_CONFLICT]


def test_a_missing_issuer_or_birth_date_is_no_conflict() -> None:
    extra = a_view(9, STANDARD_VIEWS[3], issuer_of_patient_id="", patient_birth_date="")
    assert isinstance(judge(an_exam(extra), RULES), Eligible)


def test_a_required_age_that_is_missing_is_a_refusal() -> None:
    rules = EligibilityRules(age_required=True)
    verdict = judge(an_exam(a_view(9, patient_birth_date="")), rules)
    assert isinstance(verdict, Ineligible)
    assert codes(verdict.reasons) == [ReasonCode.PATIENT_AGE]


def test_a_study_without_mammograms_is_said_to_have_none() -> None:
    ultrasound = a_view(9, modality="US")
    verdict = judge(an_exam(ultrasound, without=STANDARD_VIEWS), RULES)
    assert isinstance(verdict, Ineligible)
    assert codes(verdict.reasons) == [ReasonCode.NO_IMAGES]
    assert codes(verdict.left_out) == [ReasonCode.NOT_MAMMOGRAPHY]


@given(st.lists(st.sampled_from(SPOILED), max_size=4), st.sets(st.sampled_from(STANDARD_VIEWS)))
def test_every_image_is_read_or_has_a_reason(
    spoiled: list[tuple[dict[str, object], ReasonCode]], missing: set[StandardView]
) -> None:
    extra = [a_view(10 + i, **changes) for i, (changes, _) in enumerate(spoiled)]
    exam = an_exam(*extra, without=tuple(missing))
    verdict = judge(exam, RULES)
    if isinstance(verdict, Eligible):
        told = {view.sop_instance_uid for view in verdict.views.values()}
    else:
        told = {reason.sop_instance_uid for reason in verdict.reasons}
        assert verdict.reasons, "an unread exam without a reason"
    told |= {reason.sop_instance_uid for reason in verdict.left_out}
    unread_but_fine = {view.sop_instance_uid for view in exam.views if judge_view(view, RULES) is None}
    assert told | unread_but_fine >= {view.sop_instance_uid for view in exam.views}


def test_rules_are_data_and_unknown_keys_are_refused() -> None:
    assert EligibilityRules.model_validate_json(RULES.model_dump_json()) == RULES
    with pytest.raises(ValidationError, match="sop_clases"):
        EligibilityRules.model_validate({"version": "1", "sop_clases": []})
