"""What a radiologist sees of our results in OHIF, a viewer nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from pydicom.dataset import Dataset

from ai.findings import Category
from tests.browser.conftest import EXAMS, Hospital
from tests.support_viewer import Mark, Viewer, displacement, likeness

CAD_SR, MEASUREMENT_SR, SUMMARY_SC = 9001, 9002, 9003


@dataclass(frozen=True)
class Group:
    """A measurement group (TID 1410, 1501) of the report: its tracking UID, its comments, its regions by image."""

    tracking_uid: str
    comments: list[str]
    regions: list[tuple[str, np.ndarray]]


def code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def below(item: Dataset) -> list[Dataset]:
    """The item and every content item below it, in document order."""
    return [item, *(each for child in item.get("ContentSequence", []) for each in below(child))]


def groups(report: Dataset) -> list[Group]:
    """The measurement groups, the exam's first."""
    return [_group(item) for item in below(report)[1:] if item.ValueType == "CONTAINER" and code(item) == "125007"]


def _group(item: Dataset) -> Group:
    uid = next(str(each.UID) for each in item.ContentSequence if each.ValueType == "UIDREF")
    comments = [str(each.TextValue) for each in item.ContentSequence if code(each) == "121106"]
    regions = [
        (str(each.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID), _corners(each.GraphicData))
        for each in below(item)
        if each.ValueType == "SCOORD"
    ]
    return Group(uid, comments, regions)


def _corners(graphic_data: list[float]) -> np.ndarray:
    return np.array(graphic_data, dtype=float).reshape(-1, 2)


@pytest.fixture(params=["node", "pacs"])
def source(request: pytest.FixtureRequest) -> str:
    """Whose DICOMweb OHIF shows: the node's own, or the PACS's."""
    return str(request.param)


@dataclass(frozen=True)
class Shown:
    """A viewer with an exam's measurement report in it, and the report's groups."""

    viewer: Viewer
    groups: list[Group]

    def lines(self, group: Group) -> list[str]:
        """The text beside a group's region. OHIF puts a colon behind what has no value."""
        return [line.strip().removesuffix(":") for line in self.viewer.texts()[group.tracking_uid]]


@pytest.fixture
def report(source: str, hospital: Hospital, viewers: Callable[[str, str], Viewer]) -> Callable[[str], Shown]:
    """Shows an exam's measurement report."""

    def shown(exam: str) -> Shown:
        category = EXAMS[exam][1]
        assert hospital.readings[exam].category is category, "the model reads it differently now: choose another exam"
        found = groups(hospital.result(exam, MEASUREMENT_SR))
        viewer = viewers(source, exam)
        viewer.show(MEASUREMENT_SR, found[0].regions[0][0])
        return Shown(viewer, found)

    return shown


def drawn(marks: list[Mark], corners: np.ndarray) -> Mark:
    """The mark that was drawn for a region of the report, every corner within a pixel."""
    fitting = [each for each in marks if len(each.stored) == len(corners) and np.abs(each.stored - corners).max() <= 1]
    assert len(fitting) == 1, f"of {marks} not one lies at {corners.tolist()}"
    return fitting[0]


def test_the_positives_marks_stand_on_the_right_pixels_of_the_right_view(
    report: Callable[[str], Shown], hospital: Hospital
) -> None:
    shown = report("positive")
    viewer, (exam, *lesions) = shown.viewer, shown.groups
    image = exam.regions[0][0]
    here = [(lesion, region) for lesion in lesions for uid, region in lesion.regions if uid == image]
    assert here, "the most suspicious view has no finding"
    marks = viewer.marks(1 + len(here))
    assert {mark.sop_instance_uid for mark in marks} == {image}
    painted, stored = viewer.canvas(), hospital.pixels("positive", image)
    for lesion, region in here:
        mark = drawn(marks, region)
        assert np.abs(displacement(mark, painted, stored, region)).max() <= 1
        moved = region + np.array([6, 0])
        assert np.abs(displacement(mark, painted, stored, moved)).max() > 1, "the check itself sees no displacement"
        assert any("%" in line for line in shown.lines(lesion))
    assert shown.lines(exam)[: len(exam.comments)] == exam.comments
    assert viewer.faults == []
    viewer.picture("positive")


def test_the_positives_mark_is_on_the_tumour(report: Callable[[str], Shown], hospital: Hospital) -> None:
    shown = report("positive")
    (tumour,) = hospital.tumours("positive", shown.groups[0].regions[0][0])
    centre = tumour.mean(axis=0)
    boxes = [(mark.stored.min(axis=0), mark.stored.max(axis=0)) for mark in shown.viewer.marks(2)]
    assert [bool((low < centre).all() and (centre < high).all()) for low, high in boxes] == [True, True]
    smallest = min((high - low).max() for low, high in boxes)
    assert smallest < 2 * (tumour[1] - tumour[0]).max(), "the mark is bigger than it need be"


@pytest.mark.parametrize("exam", ["negative", "not read"])
def test_an_exam_without_marks_opens_and_says_what_it_is(
    report: Callable[[str], Shown], hospital: Hospital, exam: str
) -> None:
    shown = report(exam)
    viewer, (group,) = shown.viewer, shown.groups
    (mark,) = viewer.marks(1)
    image, region = group.regions[0]
    assert mark.sop_instance_uid == image
    drawn([mark], region)
    assert shown.lines(group)[: len(group.comments)] == group.comments
    assert hospital.readings[exam].category is not Category.NOT_READ or "Not read" in group.comments[0]
    assert (viewer.faults, viewer.toasts()) == ([], [])
    viewer.picture(exam.replace(" ", "-"))


@pytest.mark.parametrize("exam", EXAMS)
def test_the_summary_card_shows_and_has_a_thumbnail(
    viewers: Callable[[str, str], Viewer], source: str, hospital: Hospital, exam: str
) -> None:
    card, viewer = hospital.result(exam, SUMMARY_SC), viewers(source, exam)
    assert likeness(viewer.thumbnail(SUMMARY_SC), card.pixel_array) > 0.9
    viewer.show(SUMMARY_SC, card.SOPInstanceUID)
    assert likeness(viewer.canvas(), card.pixel_array) > 0.95
    viewer.picture(f"{exam.replace(' ', '-')}-card")


def test_a_mark_is_for_reading_and_nobody_is_asked_what_to_do_with_it(report: Callable[[str], Shown]) -> None:
    viewer = report("positive").viewer
    viewer.marks(2)
    assert not viewer.may_move_marks_of(MEASUREMENT_SR)


def test_what_it_cannot_draw_is_listed_and_breaks_nothing(report: Callable[[str], Shown]) -> None:
    viewer = report("positive").viewer
    assert viewer.series() | {CAD_SR: "SR", MEASUREMENT_SR: "SR", SUMMARY_SC: "OT"} == viewer.series()
    viewer.show(CAD_SR)
    assert "could not be added to the viewport" in viewer.until_told()
    assert len(viewer.marks(2)) == 2, "the report is not in the viewport any more"
