"""Overlays: which views get one, that marks stand on their lesions, and that a broken one never leaves."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from ai.exam import STANDARD_VIEWS
from ai.findings import Category
from node.results import (
    Report,
    _canvas,
    _overlay,
    overlay_sc,
)
from node.results._assertions_references import overlay_faults
from tests.support_readings import COLUMNS, ROWS, encoded, finding, header, instance_uid, read_exam, report
from tests.support_results import CASES, L_CC, R_CC

NOT_READ = [name for name in CASES if name.startswith("not_read")]


Break = Callable[[Dataset], None]


def overlays(one: Report, **options: object) -> dict[str, Dataset]:
    return overlay_sc.build(one, overlay_sc.OPTIONS.model_validate(options))


def pixels(dataset: Dataset) -> np.ndarray:
    return np.frombuffer(dataset.PixelData, np.uint8)[: dataset.Rows * dataset.Columns * 3].reshape(
        dataset.Rows, dataset.Columns, 3
    )


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have nearly this colour."""
    found: np.ndarray = np.abs(picture.astype(int) - colour).sum(axis=2) < 60
    return found


def test_there_is_an_overlay_per_view_with_findings_or_per_view_read() -> None:
    one = CASES["positive"]()
    assert list(overlays(one)) == ["L CC", "L MLO"]
    assert list(overlays(one, views="read")) == [str(view) for view in STANDARD_VIEWS]
    assert [each.InstanceNumber for each in overlays(one, views="read").values()] == [1, 2, 3, 4]
    assert len({each.SeriesInstanceUID for each in overlays(one).values()}) == 1


@pytest.mark.parametrize("views", ["with_findings", "read"])
@pytest.mark.parametrize("case", NOT_READ)
def test_an_exam_that_was_not_read_has_no_overlay(case: str, views: str) -> None:
    """A mammogram without marks looks like a finding of nothing."""
    assert overlays(CASES[case](), views=views) == {}


def test_a_view_that_was_not_read_has_no_overlay_and_the_others_say_so() -> None:
    one = CASES["three_views_of_four"]()
    made = overlays(one, views="read")
    assert set(made) == {"R CC", "L CC", "R MLO"}
    for each in made.values():
        assert "L MLO not read by AI" in each.ImageComments
        assert near(pixels(each)[:132], _canvas.MAGENTA).sum() > 200
    assert near(pixels(overlays(CASES["positive"]())["L CC"]), _canvas.MAGENTA).sum() == 0


def test_an_overlay_hangs_as_its_mammogram_does() -> None:
    one = CASES["positive"]()
    for part, made in overlays(one, views="read").items():
        source = next(s for s in one.sources if f"{s.ImageLaterality} {s.ViewPosition}" == part)
        assert made.ImageLaterality == source.ImageLaterality
        assert made.PatientOrientation == source.PatientOrientation
        assert made.ViewCodeSequence[0].CodeValue == source.ViewCodeSequence[0].CodeValue
        assert "ViewPosition" not in made
        assert "ImagerPixelSpacing" not in made, "a picture on a scale of its own is no measure"
        assert [item.ReferencedSOPInstanceUID for item in made.SourceImageSequence] == [source.SOPInstanceUID]
        assert made.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_an_empty_view_modifier_is_not_copied_and_a_real_one_is() -> None:
    code = header(1, R_CC).ViewCodeSequence[0]
    code.ViewModifierCodeSequence = []
    sources = tuple(header(n, v, ViewCodeSequence=[code]) for n, v in enumerate(STANDARD_VIEWS, 1))
    one = report(read_exam(), sources)
    assert "ViewModifierCodeSequence" not in overlays(one, views="read")["R CC"].ViewCodeSequence[0]


@pytest.mark.parametrize("longer_side", [1024, 1536])
def test_a_mark_stands_on_its_lesion(longer_side: int) -> None:
    """A white square in the preview, the mark's ring around it."""
    mark = finding(L_CC, 3, 0.9)
    picture = np.full((ROWS // 8, COLUMNS // 8), 30, np.uint8)
    column, row = (round(value / 8) for value in mark.region.center)
    picture[row - 4 : row + 5, column - 4 : column + 5] = 255
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    reading = replace(read_exam(findings=(mark,), category=Category.SUSPICIOUS), heat_maps=())
    made = overlays(report(reading, previews={instance_uid(2): png.getvalue()}), longer_side=longer_side)["L CC"]
    image = pixels(made)[132:-136]
    assert max(image.shape[:2]) == longer_side
    ring = near(image, _canvas.AMBER)
    ring[:, round((mark.region.right + 20) / ROWS * longer_side) :] = False  # the label
    rows, columns = np.nonzero(ring)
    scale = longer_side / ROWS
    assert (columns.min() + columns.max()) / 2 == pytest.approx(mark.region.center[0] * scale, abs=3)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(mark.region.center[1] * scale, abs=3)
    spot = np.nonzero((image > 250).all(axis=2))
    assert np.mean(spot[1]) == pytest.approx(mark.region.center[0] * scale, abs=4)
    assert np.mean(spot[0]) == pytest.approx(mark.region.center[1] * scale, abs=4)


def test_heat_is_drawn_where_it_is_and_can_be_left_out() -> None:
    one = CASES["positive"]()
    warm, cold = (pixels(overlays(one, heat=heat)["L CC"])[132:-136].astype(int) for heat in (True, False))
    rows, columns = np.nonzero(np.abs(warm - cold).sum(axis=2) > 30)
    region = one.reading.findings[0].region
    scale = warm.shape[0] / ROWS
    assert abs(columns.mean() - region.center[0] * scale) < 60
    assert abs(rows.mean() - region.center[1] * scale) < 60


def test_the_overlay_says_view_score_category_and_labelling() -> None:
    one = CASES["positive"]()
    said = _overlay.sentences(one, one.sources[1], L_CC)
    assert said == [
        "AI triage: suspicious, L CC",
        "2 regions marked on this view",
        "Scaled preview, not the diagnostic image",
        "Demonstration. Trained on synthetic images. Not for clinical use",
    ]
    below = pixels(overlays(one)["L CC"])[-136:]
    assert near(below, _canvas.WARNING).sum() > 500, "the labelling is not on the picture"
    assert "L CC of the exam, scaled from 3328 × 2560 pixels" in overlays(one)["L CC"].DerivationDescription


@pytest.mark.parametrize("labelling", ["Research.", "For investigational use only. " * 8])
def test_the_labelling_is_never_cut(labelling: str) -> None:
    _, lines = _overlay._labelling(labelling.strip(), 1098)
    assert " ".join(lines) == labelling.strip()


def test_without_a_preview_the_breast_is_a_shape_and_the_overlay_says_so() -> None:
    mammogram = pixels(overlays(CASES["marks_at_the_edges"]())["L CC"])[132:-136]
    assert near(mammogram, _canvas.RAISED).mean() > 0.1


# --- broken on purpose


def other_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


def mirrored(dataset: Dataset) -> None:
    dataset.PatientOrientation = ["P", "L"]


def other_side(dataset: Dataset) -> None:
    dataset.ImageLaterality = "R"


def other_view(dataset: Dataset) -> None:
    dataset.ViewCodeSequence[0].CodeValue = "399368009"


def other_source(dataset: Dataset) -> None:
    dataset.SourceImageSequence[0].ReferencedSOPInstanceUID = instance_uid(4)


def short_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-6]


def said_to_be_clean(dataset: Dataset) -> None:
    dataset.BurnedInAnnotation = "NO"


BROKEN_OVERLAYS: dict[str, tuple[Break, str]] = {
    "mirrored": (mirrored, "PatientOrientation"),
    "the other side": (other_side, "ImageLaterality"),
    "another view": (other_view, "the view is not"),
    "another source": (other_source, "the source image"),
    "short pixel data": (short_pixels, "Rows × Columns"),
    "said to be clean": (said_to_be_clean, "burned in"),
    "another study": (other_study, "Study Instance UID"),
}


@pytest.mark.parametrize("fault", BROKEN_OVERLAYS)
def test_a_broken_overlay_is_noticed(fault: str) -> None:
    one = CASES["positive"]()
    made = pydicom.dcmread(io.BytesIO(encoded(overlays(one, longer_side=1024)["L CC"])))
    assert overlay_faults(made, one.sources[1]) == []
    change, said = BROKEN_OVERLAYS[fault]
    change(made)
    faults = overlay_faults(made, one.sources[1])
    assert any(said in sentence for sentence in faults), f"{fault} was not noticed; found: {faults}"
