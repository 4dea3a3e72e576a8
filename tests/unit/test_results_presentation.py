"""Presentation states: what they refer to, display and draw, and that a broken one never leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from ai.exam import STANDARD_VIEWS
from ai.findings import Category
from node.results import (
    Report,
    presentation_state,
)
from node.results._assertions_references import presentation_faults
from tests.support_readings import COLUMNS, ROWS, finding, header, instance_uid, read_exam, report
from tests.support_results import CASES, L_CC

NOT_READ = [name for name in CASES if name.startswith("not_read")]


Break = Callable[[Dataset], None]


def states(one: Report, **options: object) -> dict[str, Dataset]:
    return presentation_state.build(one, presentation_state.OPTIONS.model_validate(options))


def test_there_is_a_state_per_breast_with_findings_or_per_breast_read() -> None:
    one = CASES["positive"]()
    assert list(states(one)) == ["L"]
    both = states(one, breasts="read")
    assert list(both) == ["R", "L"]
    assert [each.Laterality for each in both.values()] == ["R", "L"]
    assert len({each.SeriesInstanceUID for each in both.values()}) == 2
    assert states(CASES["one_breast_left_out"](), breasts="read").keys() == {"R"}
    for case in NOT_READ:
        assert states(CASES[case](), breasts="read") == {}


def test_a_state_refers_to_every_read_image_of_its_breast() -> None:
    state = states(CASES["with_raw_siblings"]())["L"]
    referred = [
        item.ReferencedSOPInstanceUID for s in state.ReferencedSeriesSequence for item in s.ReferencedImageSequence
    ]
    assert sorted(referred) == [instance_uid(2), instance_uid(4)]


def test_marks_are_closed_and_shaped_by_what_they_mark() -> None:
    one = CASES["bilateral"]()  # a lesion of each kind
    shapes = {
        (graphic.TrackingID, graphic.GraphicType, graphic.NumberOfGraphicPoints)
        for state in states(one).values()
        for annotation in state.GraphicAnnotationSequence
        for graphic in annotation.get("GraphicObjectSequence") or ()
    }
    assert shapes == {
        ("Lesion 1, R CC", "ELLIPSE", 4),
        ("Lesion 1, R MLO", "POLYLINE", 5),
        ("Lesion 2, L CC", "POLYLINE", 5),
        ("Lesion 3, L MLO", "POLYLINE", 7),
    }


def test_an_ellipse_begins_with_its_longer_axis() -> None:
    wide = finding(L_CC, 1, 0.9)
    tall = replace(wide, region=replace(wide.region, top=wide.region.top - 200))
    for mark, first in ((wide, "across"), (tall, "down")):
        one = report(read_exam(findings=(mark,), category=Category.SUSPICIOUS))
        graphic = states(one)["L"].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
        x0, y0, x1, y1 = graphic.GraphicData[:4]
        assert ("across" if y0 == y1 else "down") == first
        assert (x1 - x0) + (y1 - y0) == max(mark.region.right - mark.region.left, mark.region.bottom - mark.region.top)


def test_every_mark_has_its_words_and_every_image_the_result() -> None:
    state = states(CASES["positive"]())["L"]
    texts = [t.UnformattedTextValue for a in state.GraphicAnnotationSequence for t in a.TextObjectSequence]
    assert "1: soft tissue 87.3 %" in texts
    assert "2: calcifications 29.0 %" in texts
    assert sum("AI triage: suspicious, band 10/10" in text and "Not for clinical use" in text for text in texts) == 2
    assert (state.ContentLabel, state.ContentCreatorName) == ("AI_L", "mammo-node^AI")
    assert state.ContentDescription == "AI triage marks, left breast: L CC 87.3 %, L MLO 77.3 %"


def test_a_state_displays_the_image_as_its_source_says() -> None:
    state = states(CASES["windowed"]())["L"]
    (item, _) = state.SoftcopyVOILUTSequence
    assert (item.WindowCenter, item.WindowWidth, item.VOILUTFunction) == (2047, 4095, "SIGMOID")
    assert item.WindowCenterWidthExplanation == "NORMAL"
    assert state.PresentationLUTShape == "IDENTITY"
    inverted = states(CASES["inverted_with_tables"]())["L"]
    assert inverted.PresentationLUTShape == "INVERSE"
    assert "WindowCenter" not in inverted.SoftcopyVOILUTSequence[0], "one of the two, or a reader refuses it"
    table = inverted.SoftcopyVOILUTSequence[0].VOILUTSequence[0]
    assert (list(table.LUTDescriptor), len(table.LUTData)) == ([256, 0, 16], 512)
    assert "SoftcopyVOILUTSequence" not in states(CASES["positive"]())["L"]


def test_images_of_two_polarities_are_in_two_states() -> None:
    sources = [header(n, view) for n, view in enumerate(STANDARD_VIEWS, start=1)]
    sources[3].PhotometricInterpretation = "MONOCHROME1"
    made = states(report(CASES["positive"]().reading, tuple(sources)))
    shapes = {part: each.PresentationLUTShape for part, each in made.items()}
    assert shapes == {"L MONOCHROME2": "IDENTITY", "L MONOCHROME1": "INVERSE"}


def test_the_displayed_area_is_the_whole_image_to_scale() -> None:
    sources = tuple(header(n, v, ImagerPixelSpacing=[0.05, 0.1]) for n, v in enumerate(STANDARD_VIEWS, start=1))
    (area, _) = states(report(CASES["positive"]().reading, sources))["L"].DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaBottomRightHandCorner) == [COLUMNS, ROWS]
    assert area.PresentationSizeMode == "SCALE TO FIT"
    assert [int(value) for value in area.PresentationPixelAspectRatio] == [5000, 10000]


# --- broken on purpose


def outside(dataset: Dataset) -> None:
    dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData[0] = COLUMNS + 1.0


def label_outside(dataset: Dataset) -> None:
    dataset.GraphicAnnotationSequence[0].TextObjectSequence[0].BoundingBoxTopLeftHandCorner = [-5.0, 10.0]


def not_closed(dataset: Dataset) -> None:
    graphic = dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[1]
    graphic.GraphicData = [*list(graphic.GraphicData)[:-2], 5.0, 5.0]


def points_miscounted(dataset: Dataset) -> None:
    dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[0].NumberOfGraphicPoints = 3


def other_area(dataset: Dataset) -> None:
    dataset.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner = [COLUMNS - 1, ROWS]


def unrelated_area(dataset: Dataset) -> None:
    dataset.DisplayedAreaSelectionSequence.pop()


def other_breast(dataset: Dataset) -> None:
    item = dataset.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    item.ReferencedSOPInstanceUID = instance_uid(1)


def no_source(dataset: Dataset) -> None:
    dataset.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def no_layer(dataset: Dataset) -> None:
    dataset.GraphicLayerSequence.pop()


def one_name_for_two(dataset: Dataset) -> None:
    first, second = dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[:2]
    second.TrackingUID = first.TrackingUID


def window_of_another(dataset: Dataset) -> None:
    dataset.SoftcopyVOILUTSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = instance_uid(1)


def other_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


BROKEN_STATES: dict[str, tuple[Break, str]] = {
    "a mark outside the image": (outside, "lies outside"),
    "a label outside the image": (label_outside, "lies outside"),
    "an open mark": (not_closed, "not closed"),
    "points miscounted": (points_miscounted, "another number of points"),
    "a part of the image": (other_area, "not the whole"),
    "an image without area": (unrelated_area, "displayed areas are not those"),
    "an image of the other breast": (other_breast, "both breasts"),
    "an image that is no source": (no_source, "no source"),
    "a layer that is not there": (no_layer, "which there is not"),
    "one tracking UID for two marks": (one_name_for_two, "names 2 marks"),
    "a window for another image": (window_of_another, "not in the relationship"),
    "another study": (other_study, "Study Instance UID"),
}


@pytest.mark.parametrize("fault", BROKEN_STATES)
def test_a_broken_presentation_state_is_noticed(fault: str) -> None:
    one = CASES["windowed"]()
    state = states(one)["L"]
    assert presentation_faults(state, one.sources) == []
    change, said = BROKEN_STATES[fault]
    change(state)
    faults = presentation_faults(state, one.sources)
    assert any(said in sentence for sentence in faults), f"{fault} was not noticed; found: {faults}"
