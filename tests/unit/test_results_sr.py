"""What the structured reports say, and that a report which breaks a rule of its own never leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ai.findings import Category, FindingType
from node.results import Report, _text, mammography_cad_sr
from node.results._assertions import walk
from tests.support_readings import (
    ALGORITHM,
    finding,
    instance_uid,
    read_exam,
    report,
    single,
)
from tests.support_results import CASES, L_CC, L_MLO, R_CC, enclosed
from tests.support_sr import SR, code_of, made, named, numbers, texts

# --- what it says


@pytest.mark.parametrize("kind", SR)
@pytest.mark.parametrize(
    ("case", "summary"),
    [
        ("positive", "111242"),
        ("negative", "111241"),
        ("suspicious_without_marks", "111242"),
        ("one_breast_left_out", "111243"),
        ("one_breast_absent", "111244"),
        ("not_read_three_views", "111245"),
        ("not_read_model_failed", "111245"),
        ("not_read_no_mammogram", "111245"),
    ],
)
def test_the_summary_says_whether_all_was_read_and_anything_found(kind: str, case: str, summary: str) -> None:
    assert code_of(made(CASES[case](), kind), "111017") == summary


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("negative", "111222"),
        ("one_breast_left_out", "111223"),
        ("not_read_model_failed", "111224"),
        ("not_read_three_views", "111225"),
    ],
)
def test_detections_and_analyses_have_a_status(case: str, status: str) -> None:
    result = made(CASES[case](), "mammography_cad_sr")
    assert code_of(result, "111064") == code_of(result, "111065") == status


@pytest.mark.parametrize("kind", SR)
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("not_read")])
def test_an_exam_that_was_not_read_has_no_score_and_says_why(kind: str, case: str) -> None:
    one = CASES[case]()
    result = made(one, kind)
    for concept in ("111047", "111012", "111013"):
        assert not list(named(result, concept)), f"a score {concept} without a reading"
    said = " ".join(texts(result, "111033") + texts(result, "121106"))
    assert "not read by AI" in said
    assert "not a negative result" in said
    for reason in one.reading.reasons:
        assert reason.sentence in said, f"{reason.code} is not told"
    if kind == "measurement_sr":
        codes = {
            item.get("CodeValue") or item.LongCodeValue
            for node in named(result, "REASON")
            for item in node.item.get("ConceptCodeSequence", [])
        }
        assert codes == {str(reason.code) for reason in one.reading.reasons}
        assert code_of(result, "TRIAGE") == "NOT_READ"


def test_a_score_is_a_probability_only_when_the_algorithm_is_calibrated() -> None:
    calibrated = read_exam(findings=(finding(R_CC, 1, 0.3),), category=Category.INDETERMINATE)
    plain = replace(calibrated, algorithm=replace(ALGORITHM, calibrated=False))
    for kind in SR:
        assert "30.0" in numbers(made(report(calibrated), kind), "111047")
        assert not numbers(made(report(plain), kind), "111047"), "a score that is no probability is called one"
        assert "30.0" in numbers(made(report(plain), kind), "111012")
        assert "30.0" in numbers(made(report(plain), kind), "111013")


@pytest.mark.parametrize("kind", SR)
def test_every_finding_is_there_with_its_type_and_place(kind: str) -> None:
    one = CASES["many_findings"]()
    result = made(one, kind)
    outlines = list(named(result, "111041" if kind == "mammography_cad_sr" else "111030"))
    assert len(outlines) == 25
    region = one.reading.findings[0].region
    box = [region.left, region.top, region.right, region.bottom]
    found = [enclosed(node.item.GraphicData) for node in outlines]
    assert [round(value, 3) for value in box] in found
    lesions = [text for text in texts(result, "112039") if text.startswith("Lesion")]
    assert len(lesions) == 25
    assert lesions.count("Lesion 1, L CC") == 1


def test_beside_a_single_lesion_stands_a_region_that_is_no_finding() -> None:
    """A validator cannot tell the exam's group from a region's when there is exactly one region."""
    result = made(CASES["indeterminate_uncalibrated"](), "measurement_sr")
    assert len(list(named(result, "111030"))) == 2
    assert [text for text in texts(result, "112039") if text != "Exam"] == ["Lesion 1, R CC", "Breast, R MLO"]
    assert len(list(named(result, "121071"))) == 1, "the breast is called a finding"


def test_a_finding_has_the_same_tracking_uid_in_both_reports() -> None:
    one = CASES["positive"]()
    found = [
        {str(node.item.UID) for node in named(made(one, kind), "112040")} - {str(exam)}
        for kind in SR
        for exam in [next(named(made(one, "measurement_sr"), "112040")).item.UID]
    ]
    lesions = {str(node.item.UID) for node in named(made(one, "mammography_cad_sr"), "112040")} - found[1]
    assert found[0] - lesions == found[1]
    assert len(lesions) == 2, (
        "only the two composites, each of a lesion on two views, are named in the CAD report alone"
    )


def composites(one: Report) -> list[list[str]]:
    """The tracking identifiers of what each composite of the CAD report is made of."""
    result = made(one, "mammography_cad_sr")
    return [
        [
            next(str(inner.item.TextValue) for inner in walk(part) if inner.item.get("ValueType") == "TEXT")
            for part in node.item.ContentSequence
            if part.RelationshipType == "INFERRED FROM"
        ]
        for node in named(result, "111015")
    ]


def test_a_lesion_on_both_views_is_a_composite_of_two_findings() -> None:
    one = CASES["positive"]()
    assert composites(one) == [[f"Lesion {lesion}, L CC", f"Lesion {lesion}, L MLO"] for lesion in (1, 2)]
    result = made(one, "mammography_cad_sr")
    types = [node.item.ConceptCodeSequence[0].CodeValue for node in named(result, "111015")]
    assert types == ["129793001", "129769006"], "a composite is of the kind of its findings"
    assert {node.item.ConceptCodeSequence[0].CodeValue for node in named(result, "111016")} == {"111154"}


def test_findings_that_are_not_two_views_of_one_thing_stand_alone() -> None:
    """Of two kinds; on one view only; three of one lesion: TID 4004 relates exactly two."""
    assert composites(CASES["bilateral"]()) == []
    three = (finding(L_CC, 1, 0.9), finding(L_CC, 1, 0.8), finding(L_MLO, 1, 0.7))
    one = report(read_exam(findings=three, category=Category.SUSPICIOUS))
    assert composites(one) == []
    assert len(list(named(made(one, "mammography_cad_sr"), "111059"))) == 3


@pytest.mark.parametrize("intent", ["required", "optional"])
def test_the_rendering_intent_is_the_same_down_the_tree(intent: str) -> None:
    options = mammography_cad_sr.OPTIONS(rendering_intent=intent)
    result = single(mammography_cad_sr.build(CASES["positive"](), options))
    codes = {node.item.ConceptCodeSequence[0].CodeValue for node in named(result, "111056")}
    assert codes == {"111150" if intent == "required" else "111151"}


def test_a_negative_report_says_what_was_looked_for() -> None:
    options = mammography_cad_sr.OPTIONS(detections=(FindingType.ARCHITECTURAL_DISTORTION,))
    result = single(mammography_cad_sr.build(CASES["negative"](), options))
    assert code_of(result, "111022") == "129792006"
    assert not list(named(result, "111034")), "a negative exam has an individual impression"


def test_the_comments_are_short_few_and_repeat_the_numbers() -> None:
    one = CASES["positive"]()
    exam = next(named(made(one, "measurement_sr"), "125007")).item
    lines = [str(item.TextValue) for item in exam.ContentSequence if item.ValueType == "TEXT"][-4:]
    assert lines == [
        "AI triage: Suspicious, 10/10",
        "Right 1.2 %, left 87.3 %",
        "CC: R 0.40 %, L 87.3 %",
        "MLO: R 1.2 %, L 77.3 %",
    ]


@pytest.mark.parametrize("case", CASES)
def test_comment_lines_fit_beside_a_region(case: str) -> None:
    lines = _text.comment_lines(CASES[case]().reading)
    assert len(lines) <= 4
    assert max(map(len, lines)) <= 32, f"too long for a viewer: {lines}"


def test_the_exams_region_is_the_breast_most_suspicious_view_first() -> None:
    exam = next(named(made(CASES["positive"](), "measurement_sr"), "125007")).item
    score = next(item for item in exam.ContentSequence if item.ValueType == "NUM")
    regions = [item for item in score.ContentSequence if item.ValueType == "SCOORD"]
    uids = [item.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in regions]
    assert uids == [instance_uid(n) for n in (2, 4, 3, 1)]
    for item in regions:
        assert list(item.GraphicData[:2]) == list(item.GraphicData[-2:]), "the outline is not closed"


@pytest.mark.parametrize("case", CASES)
def test_every_measurement_group_has_a_region(case: str) -> None:
    """A group without one breaks the whole report in OHIF; only a study without any image size cannot help it."""
    for node in named(made(CASES[case](), "measurement_sr"), "125007"):
        assert any(inner.item.get("ValueType") == "SCOORD" for inner in walk(node.item))


@pytest.mark.parametrize("kind", SR)
def test_composition_is_told_with_its_own_algorithm(kind: str) -> None:
    result = made(CASES["negative"](), kind)
    assert "density-histogram" in texts(result, "111001")
    assert "1.2" in texts(result, "111003")
    if kind == "measurement_sr":
        assert code_of(result, "129715009") == "129718006"
    else:
        assert "heterogeneously dense" in texts(result, "111033")[0]


@pytest.mark.parametrize("kind", SR)
def test_the_change_since_the_prior_and_the_labelling_are_told(kind: str) -> None:
    result = made(CASES["with_prior_and_composition"](), kind)
    said = texts(result, "111033" if kind == "mammography_cad_sr" else "121106")[-1]
    assert "Since 2024-10-14: right 1.2 → 1.2 %, left 14.0 → 87.3 %, band 8 → 10" in said
    assert "Not for clinical use" in said


@pytest.mark.parametrize("kind", SR)
def test_the_algorithm_is_named_with_version_weights_and_operating_points(kind: str) -> None:
    result = made(CASES["positive"](), kind)
    parameters = texts(result, "111002")
    for part in ("weights sha256 3b792e6d", "calibration 2026-11", "preprocessing 1", "operating point suspicious"):
        assert any(part in line for line in parameters), f"{part} is not among the parameters"


@pytest.mark.parametrize("kind", SR)
def test_a_view_without_header_elements_is_still_listed(kind: str) -> None:
    result = made(CASES["not_read_many_reasons"](), kind)
    listed = [n for n in walk(result) if n.item.get("ValueType") == "IMAGE" and "RelationshipType" in n.item]
    assert instance_uid(5) in {n.item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for n in listed}


def test_a_document_is_no_image() -> None:
    """A study may hold only a report or a PDF; an IMAGE item must not refer to it."""
    one = CASES["not_read_no_mammogram"]()
    one.sources[0].SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    for kind in SR:
        assert not [node for node in walk(made(one, kind)) if node.item.get("ValueType") == "IMAGE"]


@pytest.mark.parametrize(("probability", "said"), [(0, "0.00"), (0.0034, "0.34"), (0.00996, "1.0"), (1, "100.0")])
def test_percentages_are_rounded_the_same_way_everywhere(probability: float, said: str) -> None:
    assert _text.percent(probability) == said


def test_no_percentile_is_rounded_up_to_all() -> None:
    assert _text.percentile(read_exam(percentile=99.97)) == "99.9"
