"""What the structured reports say, and that a report which breaks a rule of its own never leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from ai.findings import Category, FindingType, Region
from ai.reasons import Reason, ReasonCode
from node import results
from node.results import Report, _text, mammography_cad_sr
from node.results._assertions import InvalidResult, Node, check, walk
from tests.support_readings import (
    ALGORITHM,
    COLUMNS,
    COMPOSITION,
    ROWS,
    finding,
    instance_uid,
    read_exam,
    report,
    single,
    unread_exam,
)
from tests.support_results import CASES, L_CC, L_MLO, R_CC, enclosed, revised

SR = ("mammography_cad_sr", "measurement_sr")


def made(one: Report, kind: str) -> Dataset:
    module = results.load(kind)
    return single(module.build(one, module.OPTIONS()))


def named(dataset: Dataset, value: str) -> Iterator[Node]:
    """The content items whose concept name has this code value."""
    for node in walk(dataset):
        names = node.item.get("ConceptNameCodeSequence") or ()
        if names and names[0].get("CodeValue", names[0].get("LongCodeValue")) == value:
            yield node


def code_of(dataset: Dataset, concept: str) -> str:
    (node,) = named(dataset, concept)
    return str(node.item.ConceptCodeSequence[0].CodeValue)


def numbers(dataset: Dataset, concept: str) -> list[str]:
    return [str(node.item.MeasuredValueSequence[0].NumericValue) for node in named(dataset, concept)]


def texts(dataset: Dataset, concept: str) -> list[str]:
    return [str(node.item.TextValue) for node in named(dataset, concept)]


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


# --- what never leaves


def set_numeric(value: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for concept in ("111012", "111047"):
            for node in named(dataset, concept):
                node.item.MeasuredValueSequence[0].NumericValue = value

    return change


def move_outline(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if node.item.get("GraphicType") == "POLYLINE")
    node.item.GraphicData = [*list(node.item.GraphicData)[:-2], COLUMNS + 1.0, 5.0]


def drop(concept: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for node in list(named(dataset, concept)):
            node.above[-1].ContentSequence = [item for item in node.above[-1].ContentSequence if item is not node.item]

    return change


def same_tracking(dataset: Dataset) -> None:
    first, second, *_ = (node.item for node in named(dataset, "112040"))
    second.UID = first.UID


def swap_library(dataset: Dataset) -> None:
    library = next(node.above[-1] for node in walk(dataset) if node.item.get("ValueType") == "IMAGE")
    one, other, *rest = library.ContentSequence
    library.ContentSequence = [other, one, *rest]


def other_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


def forget_evidence(dataset: Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence.pop()


def wrong_target(dataset: Dataset) -> None:
    """Point to something that is no image, or to an image that is not there."""
    for node in walk(dataset):
        if "ReferencedContentItemIdentifier" in node.item:
            node.item.ReferencedContentItemIdentifier = [1, 3]
            return
    image = next(node.item for node in walk(dataset) if node.item.get("ValueType") == "IMAGE")
    image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def other_view(dataset: Dataset) -> None:
    """Mark the right image of a lesion that is named as the left one."""
    node = next(node for node in walk(dataset) if str(node.item.get("TextValue", "")).startswith("Lesion 1,"))
    node.item.TextValue = "Lesion 1, R MLO"


def read_though_unread(dataset: Dataset) -> None:
    (node,) = named(dataset, "111017")
    node.item.ConceptCodeSequence[0].CodeValue = "111245"


def other_comment(dataset: Dataset) -> None:
    for node in walk(dataset):
        if str(node.item.get("TextValue", "")).startswith("Right"):
            node.item.TextValue = "Right 1.2 %, left 8.7 %"


def other_meaning(dataset: Dataset) -> None:
    next(named(dataset, "111001")).item.ConceptNameCodeSequence[0].CodeMeaning = "Algorithm version"


def other_concept(dataset: Dataset) -> None:
    next(named(dataset, "111002")).item.ConceptNameCodeSequence[0].CodeValue = "999999"


BROKEN: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "a percentage over 100": (set_numeric("150"), "not between 0 and 100"),
    "a percentage under 0": (set_numeric("-1"), "not between 0 and 100"),
    "a point outside the image": (move_outline, f"lies outside {COLUMNS} × {ROWS}"),
    "no algorithm version": (drop("111003"), "algorithm without a version"),
    "no algorithm": (drop("111001"), "no algorithm is identified"),
    "no language": (drop("121049"), "the language is not stated"),
    "one tracking UID for two findings": (same_tracking, "names 2 things"),
    "another library order": (swap_library, "image library does not list"),
    "another study": (other_study, "Study Instance UID"),
    "missing evidence": (forget_evidence, "referenced but no evidence"),
    "a reference to nothing": (wrong_target, "not"),
    "a mark on another view than its name": (other_view, "is named R MLO but marks"),
    "another meaning of a code": (other_meaning, "is called 'Algorithm version' and means 'Algorithm Name'"),
    "a concept that is none": (other_concept, "is none of ours"),
    "a score of an unread exam": (read_though_unread, "though no algorithm succeeded"),
}


@pytest.mark.parametrize("kind", SR)
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_report_is_noticed(fault: str, kind: str) -> None:
    one = CASES["positive"]()
    result = made(one, kind)
    assert check(result, one.sources) == []
    change, said = BROKEN[fault]
    change(result)
    faults = check(result, one.sources)
    assert any(said in sentence for sentence in faults), f"{fault} was not noticed; found: {faults}"


def test_a_comment_with_another_number_is_noticed() -> None:
    one = CASES["positive"]()
    result = made(one, "measurement_sr")
    other_comment(result)
    assert check(result, one.sources) == ["a comment says left 8.7, which was not measured"]


@pytest.mark.parametrize("kind", SR)
def test_a_finding_outside_its_image_raises(kind: str) -> None:
    beyond = Region(sop_instance_uid=instance_uid(2), left=10, top=10, right=COLUMNS + 40, bottom=200)
    reading = read_exam(findings=(finding(L_CC, 1, 0.9, region=beyond),), category=Category.SUSPICIOUS)
    with pytest.raises(InvalidResult, match="lies outside"):
        made(report(reading), kind)


@pytest.mark.parametrize("kind", SR)
def test_sources_of_two_studies_raise(kind: str) -> None:
    one = report(unread_exam(Reason(ReasonCode.NO_IMAGES)))
    one.sources[1].StudyInstanceUID = "1.2.3"
    with pytest.raises(InvalidResult, match="Study Instance UID"):
        made(one, kind)


@pytest.mark.parametrize("kind", results.offered())
def test_a_reading_of_an_image_without_its_header_raises(kind: str) -> None:
    one, module = revised(CASES["positive"]()), results.load(kind)
    with pytest.raises(InvalidResult, match=instance_uid(4)):
        module.build(replace(one, sources=one.sources[:3]), module.OPTIONS())


def test_composition_of_an_unread_exam_does_not_break_it() -> None:
    for kind in SR:
        made(report(unread_exam(composition=COMPOSITION)), kind)
