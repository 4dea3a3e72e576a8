"""Validators that nobody here wrote judge every result object, and notice when one is broken on purpose.

Every start of the SR validator compiles its templates for 6-8 s of one core, so it sees a selection in which every
branch of the trees is met, and the quick judges the whole matrix; `make judge` shows it everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.results._assertions import walk
from tests.support_judges import (
    STRUCTURED,
    VARIANTS,
    WHOLE_MATRIX,
    Named,
    every,
    judge_in_two,
    lines,
    named,
    one,
    presentation_faults,
    quick_faults,
    require_judges,
    together,
    written,
)
from tests.support_results import CASES, REASONS

#: What the SR validator sees in every run: each branch of each tree once.
SELECTED: dict[str, tuple[str, ...]] = {
    "cad": (
        "negative",
        "bilateral_revised",
        "latin_4",
        "not_read_many_reasons",
    ),
    "comprehensive_3d": ("with_prior_and_composition", "not_read_many_reasons"),
    "comprehensive": ("negative", "not_read_no_mammogram"),
    "enhanced": ("iso_2022", "not_read_three_views"),
    "per_image": ("one_breast_absent",),
    "key_objects": ("marks_at_the_edges",),
    "rejection_note": ("not_read_three_views",),
}


@pytest.fixture(scope="module", autouse=True)
def _judges() -> None:
    require_judges()


def for_the_sr_validator() -> Iterator[Named]:
    for variant in STRUCTURED:
        if not WHOLE_MATRIX:
            yield from named(variant, SELECTED[variant])
            continue
        yield from named(variant, CASES)
        if variant in ("cad", "comprehensive_3d"):
            yield from named(variant, REASONS)


@pytest.mark.timeout(7200 if WHOLE_MATRIX else 1200)
def test_every_judge_passes_every_kind_of_report(tmp_path: Path) -> None:
    paths = written(tmp_path, for_the_sr_validator())
    said = judge_in_two(paths)
    assert said.count("  ok\n") == len(paths), f"a judge found fault:\n{said}"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_quick_judges_pass_the_whole_matrix(variant: str, tmp_path: Path) -> None:
    """dciodvfy without an error, and in most kinds without a warning; dcmtk's readers without either."""
    paths = written(tmp_path, every(variant))
    assert len(paths) >= len(CASES) // 2, f"there are only {len(paths)} objects to judge"
    faults = together(quick_faults, paths)
    assert not faults, "\n".join(faults)


# --- broken on purpose: a judge that says nothing here is broken itself


def no_completion_flag(dataset: Dataset) -> None:
    del dataset.CompletionFlag


def evidence_of_another(dataset: Dataset) -> None:
    series = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def no_photometric_interpretation(dataset: Dataset) -> None:
    del dataset.PhotometricInterpretation


def no_laterality(dataset: Dataset) -> None:
    del dataset.ImageLaterality


def marked(dataset: Dataset) -> Dataset:
    """The part of a presentation state that draws marks; of the exam's left breast."""
    return next(item for item in dataset.GraphicAnnotationSequence if "GraphicObjectSequence" in item)


def no_displayed_area(dataset: Dataset) -> None:
    del dataset.DisplayedAreaSelectionSequence


def no_images_referred_to(dataset: Dataset) -> None:
    del dataset.ReferencedSeriesSequence


def an_unknown_graphic(dataset: Dataset) -> None:
    marked(dataset).GraphicObjectSequence[0].GraphicType = "SQUIGGLE"


def wrong_relationship(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if node.item.get("RelationshipType") == "HAS CONCEPT MOD")
    node.item.RelationshipType = "CONTAINS"


def wrong_target(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if "ReferencedContentItemIdentifier" in node.item)
    node.item.ReferencedContentItemIdentifier = [1, 2, 99]


def illegal_percentage(dataset: Dataset) -> None:
    for node in walk(dataset):
        if node.item.get("ValueType") == "NUM" and node.item.ConceptNameCodeSequence[0].CodeValue == "111012":
            node.item.MeasuredValueSequence[0].NumericValue = "150"


def no_composite_type(dataset: Dataset) -> None:
    for node in walk(dataset):
        names = node.item.get("ConceptNameCodeSequence") or ()
        if names and names[0].CodeValue == "111015":
            kept = [each for each in node.item.ContentSequence if each.ConceptNameCodeSequence[0].CodeValue != "111016"]
            node.item.ContentSequence = kept


def no_objects(dataset: Dataset) -> None:
    """Nothing selected: neither an image nor anything else (TID 2010, rows 8 to 10)."""
    dataset.ContentSequence = [each for each in dataset.ContentSequence if each.ValueType not in ("IMAGE", "COMPOSITE")]


Break = Callable[[Dataset], None]
BROKEN_TREE: dict[str, tuple[str, Break]] = {
    "cad_with_a_wrong_relationship": ("cad", wrong_relationship),
    "cad_with_a_reference_to_nothing": ("cad", wrong_target),
    "cad_with_an_illegal_percentage": ("cad", illegal_percentage),
    "cad_with_a_composite_of_no_type": ("cad", no_composite_type),
    "report_with_a_wrong_relationship": ("comprehensive_3d", wrong_relationship),
    "key_objects_of_nothing": ("key_objects", no_objects),
}
BROKEN_IOD: dict[str, tuple[str, Break]] = {
    "cad_without_completion_flag": ("cad", no_completion_flag),
    "report_without_the_evidence_it_refers_to": ("comprehensive_3d", evidence_of_another),
    "key_objects_without_the_evidence_they_refer_to": ("key_objects", evidence_of_another),
    "card_without_photometric_interpretation": ("card", no_photometric_interpretation),
    "overlay_without_laterality": ("overlay", no_laterality),
    "presentation_without_displayed_area": ("presentation", no_displayed_area),
    "presentation_with_an_unknown_graphic": ("presentation", an_unknown_graphic),
}


def broken(controls: dict[str, tuple[str, Break]]) -> Iterator[Named]:
    for name, (variant, breaks) in controls.items():
        dataset = one(variant, "bilateral" if variant == "presentation" else "positive")
        breaks(dataset)
        yield name, dataset


@pytest.mark.timeout(600)
def test_the_sr_validator_notices_a_broken_tree(tmp_path: Path) -> None:
    wanted = dict(list(BROKEN_TREE.items())[: None if WHOLE_MATRIX else 3])  # each costs the validator seconds
    said = judge_in_two(written(tmp_path, broken(wanted)))
    unnoticed = [name for name in wanted if not re.search(rf"{name}\.dcm .*FALLS SHORT", said)]
    assert not unnoticed, f"no judge noticed {unnoticed}:\n{said}"


def test_dciodvfy_notices_a_broken_object(tmp_path: Path) -> None:
    paths = written(tmp_path, broken(BROKEN_IOD))
    unnoticed = [p.stem for p in paths if not any(line.startswith("Error") for line in lines("dciodvfy", "-new", p))]
    assert not unnoticed, f"dciodvfy did not notice {unnoticed}"


@pytest.mark.parametrize("breaks", [no_displayed_area, no_images_referred_to])
def test_dcmpschk_notices_a_broken_presentation_state(breaks: Break, tmp_path: Path) -> None:
    (path,) = written(tmp_path, broken({"presentation": ("presentation", breaks)}))
    assert presentation_faults(path), "dcmpschk found nothing"
