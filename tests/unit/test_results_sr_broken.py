"""A structured report that breaks a rule of its own never leaves; each rule with its broken example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from ai.findings import Category, Region
from ai.reasons import Reason, ReasonCode
from node import results
from node.results._assertions import InvalidResult, check, walk
from tests.support_readings import (
    COLUMNS,
    COMPOSITION,
    ROWS,
    finding,
    instance_uid,
    read_exam,
    report,
    unread_exam,
)
from tests.support_results import CASES, L_CC, revised
from tests.support_sr import SR, made, named


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
