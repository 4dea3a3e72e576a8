"""Overlays, presentation states, key objects, rejection notes: what they say, and that a broken one never leaves."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

from ai.exam import STANDARD_VIEWS
from ai.findings import Category
from node.results import (
    Report,
    _canvas,
    _codes,
    _overlay,
    key_objects,
    measurement_sr,
    overlay_sc,
    presentation_state,
    rejection_note,
)
from node.results._assertions import walk
from node.results._assertions_references import overlay_faults, presentation_faults, selection_faults
from tests.support_readings import COLUMNS, ROWS, STUDY, encoded, finding, header, instance_uid, read_exam, report
from tests.support_results import CASES, L_CC, R_CC, SUPERSEDED, revised

NOT_READ = [name for name in CASES if name.startswith("not_read")]


def overlays(one: Report, **options: object) -> dict[str, Dataset]:
    return overlay_sc.build(one, overlay_sc.OPTIONS.model_validate(options))


def states(one: Report, **options: object) -> dict[str, Dataset]:
    return presentation_state.build(one, presentation_state.OPTIONS.model_validate(options))


def keys(one: Report) -> Dataset:
    return key_objects.build(one, key_objects.OPTIONS())[""]


def note(one: Report) -> Dataset:
    return rejection_note.build(one, rejection_note.OPTIONS())[""]


def pixels(dataset: Dataset) -> np.ndarray:
    return np.frombuffer(dataset.PixelData, np.uint8)[: dataset.Rows * dataset.Columns * 3].reshape(
        dataset.Rows, dataset.Columns, 3
    )


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have nearly this colour."""
    found: np.ndarray = np.abs(picture.astype(int) - colour).sum(axis=2) < 60
    return found


# --- overlays


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
    image = pixels(made)[132:-116]
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
    warm, cold = (pixels(overlays(one, heat=heat)["L CC"])[132:-116].astype(int) for heat in (True, False))
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
    below = pixels(overlays(one)["L CC"])[-116:]
    assert near(below, _canvas.WARNING).sum() > 500, "the labelling is not on the picture"
    assert "L CC of the exam, scaled from 3328 × 2560 pixels" in overlays(one)["L CC"].DerivationDescription


def test_without_a_preview_the_breast_is_a_shape_and_the_overlay_says_so() -> None:
    mammogram = pixels(overlays(CASES["marks_at_the_edges"]())["L CC"])[132:-116]
    assert near(mammogram, _canvas.RAISED).mean() > 0.1


# --- presentation states


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
    one = CASES["bilateral"]()
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
        ("Lesion 3, L MLO", "ELLIPSE", 4),
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


# --- key objects and rejection notes


def selected(dataset: Dataset) -> list[tuple[str, str]]:
    """(value type, SOP Instance UID) of what is selected."""
    return [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in dataset.ContentSequence
        if item.ValueType in ("IMAGE", "COMPOSITE")
    ]


def description(dataset: Dataset) -> str:
    return next(str(item.TextValue) for item in dataset.ContentSequence if item.get("RelationshipType") == "CONTAINS")


def test_the_key_objects_are_the_marked_images() -> None:
    made = keys(CASES["positive"]())
    assert made.ConceptNameCodeSequence[0].CodeValue == "113000"
    assert selected(made) == [("IMAGE", instance_uid(2)), ("IMAGE", instance_uid(4))]
    assert description(made).startswith("AI triage: suspicious. Marked: L CC 87.3 %, L MLO 77.3 %. Demonstration.")


@pytest.mark.parametrize("case", ["negative", "suspicious_without_marks", *NOT_READ])
def test_without_a_mark_there_are_no_key_objects(case: str) -> None:
    assert key_objects.build(CASES[case](), key_objects.OPTIONS()) == {}


def test_the_note_names_what_is_superseded_but_earlier_notes() -> None:
    made = note(revised(CASES["positive"]()))
    assert made.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert selected(made) == [
        ("IMAGE" if earlier.kind == "summary_sc" else "COMPOSITE", earlier.sop_instance_uid)
        for earlier in SUPERSEDED
        if earlier.kind != "rejection_note"
    ]
    assert "revision 2" in description(made)
    assert rejection_note.build(CASES["positive"](), rejection_note.OPTIONS()) == {}


# --- reports per image, and what a revision follows


def test_there_is_a_report_per_image_about_that_image() -> None:
    one = CASES["positive"]()
    made = measurement_sr.build(one, measurement_sr.OPTIONS(per="image"))
    assert list(made) == [str(view) for view in STANDARD_VIEWS]
    for number, each in enumerate(made.values(), start=1):
        regions = [node.item for node in walk(each) if node.item.get("ValueType") == "SCOORD"]
        images = {region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for region in regions}
        assert images == {instance_uid(number)}, "a viewer would open the report on another image"
        assert each.InstanceNumber == number
    unread = measurement_sr.build(CASES["not_read_three_views"](), measurement_sr.OPTIONS(per="image"))
    assert list(unread) == [""]


def followed(dataset: Dataset) -> list[str]:
    return [
        str(reference.ReferencedSOPInstanceUID)
        for study in dataset.get("PredecessorDocumentsSequence") or ()
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]


def test_a_report_follows_its_own_part_else_the_whole_and_the_whole_all_parts() -> None:
    one = CASES["positive"]()
    per_image, whole = measurement_sr.OPTIONS(per="image"), measurement_sr.OPTIONS()
    parts = {"R CC": SUPERSEDED[0], "L CC": SUPERSEDED[1]}
    by_part = replace(one, predecessors=parts)
    made = measurement_sr.build(by_part, per_image)
    assert followed(made["L CC"]) == [SUPERSEDED[1].sop_instance_uid]
    assert followed(made["L MLO"]) == []
    assert followed(measurement_sr.build(by_part, whole)[""]) == [SUPERSEDED[n].sop_instance_uid for n in (0, 1)]
    from_whole = replace(one, predecessors={"": SUPERSEDED[1]})
    assert followed(measurement_sr.build(from_whole, per_image)["R CC"]) == [SUPERSEDED[1].sop_instance_uid]


# --- codes


def meanings() -> dict[tuple[str, str], str]:
    """(value, scheme) → meaning, as pydicom has them from PS3.16 and SNOMED CT."""
    return {
        (value, scheme): known[0].replace("\u200b", "")
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for value, known in codes.items()
    }


#: SNOMED CT's full names and PS3.16's differ in words; these are the words of the context groups.
WORDED_BY_CONTEXT_GROUP = {
    "129715009", "129716005", "129718006", "129719003", "129769006", "129792006", "133890006",
    "399162004", "51440002", "73056007", "76752008", "80248007",
}  # fmt: skip
#: Two spaces, as DICOM has had them from the start.
SPACED = {"111024", "111025", "111234"}


def test_every_code_means_what_an_independent_table_says() -> None:
    table = meanings()
    wrong = []
    for code in _codes.every():
        said = table.get((code.value, code.scheme))
        if code.scheme not in ("DCM", "SCT") or code.value in WORDED_BY_CONTEXT_GROUP:
            continue
        mine = code.meaning.replace(" ", "") if code.value in SPACED else code.meaning
        theirs = (said or "").replace(" ", "") if code.value in SPACED else said or ""
        if mine.lower() != theirs.lower():
            wrong.append((code, said))
    assert not wrong


def test_a_code_of_a_context_group_is_in_the_table_at_all() -> None:
    table = meanings()
    assert {code.value for code in _codes.every() if (code.value, "SCT") in table} >= WORDED_BY_CONTEXT_GROUP


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


Break = Callable[[Dataset], None]
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


def selected_twice(dataset: Dataset) -> None:
    dataset.ContentSequence.append(dataset.ContentSequence[-1])


def something_else(dataset: Dataset) -> None:
    dataset.ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def evidence_forgotten(dataset: Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence.pop()


def of_another_study(dataset: Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.3"


def itself(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = dataset.ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID


def other_title(dataset: Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeValue = "113037"


def other_meaning(dataset: Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeMeaning = "Of no interest"


BROKEN_SELECTIONS: dict[str, tuple[Break, str]] = {
    "an object twice": (selected_twice, "selected 2 times"),
    "another object": (something_else, "not what was meant"),
    "missing evidence": (evidence_forgotten, "the evidence is not"),
    "an object of another study": (of_another_study, "another study"),
    "itself": (itself, "selects itself"),
    "another title": (other_title, "another title"),
    "another meaning": (other_meaning, "is called 'Of no interest'"),
}


@pytest.mark.parametrize("fault", BROKEN_SELECTIONS)
def test_a_broken_selection_is_noticed(fault: str) -> None:
    one = CASES["positive"]()
    images = [one.sources[1], one.sources[3]]
    made = keys(one)
    assert selection_faults(made, images, STUDY) == []
    change, said = BROKEN_SELECTIONS[fault]
    change(made)
    faults = selection_faults(made, images, STUDY)
    assert any(said in sentence for sentence in faults), f"{fault} was not noticed; found: {faults}"
