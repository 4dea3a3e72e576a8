"""What a radiologist sees of our results in OHIF, a viewer nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from pydicom.dataset import Dataset

from ai.findings import Category
from tests.browser.conftest import BROKEN, EXAMS, Hospital
from tests.support_viewer import Mark, Viewer, displacement, likeness


@dataclass(frozen=True)
class Group:
    """A measurement group (TID 1410, 1501) of a report: its tracking UID, its comments, its regions by image."""

    tracking_uid: str
    is_finding: bool
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
    return Group(uid, any(code(each) == "121071" for each in item.ContentSequence), comments, regions)


def _corners(graphic_data: list[float]) -> np.ndarray:
    return np.array(graphic_data, dtype=float).reshape(-1, 2)


@pytest.fixture(params=["node", "pacs"])
def source(request: pytest.FixtureRequest) -> str:
    """Whose DICOMweb OHIF shows: the node's own, or the PACS's."""
    return str(request.param)


@dataclass(frozen=True)
class Shown:
    """A viewer with a measurement report in it: the report's groups, the image it is opened on, what is drawn there."""

    viewer: Viewer
    groups: list[Group]
    image: str
    marks: list[Mark]

    def lines(self, group: Group) -> list[str]:
        """The text beside a group's region. OHIF puts a colon behind what has no value."""
        return [line.strip().removesuffix(":") for line in self.viewer.texts()[group.tracking_uid]]

    def findings(self) -> list[tuple[Group, np.ndarray]]:
        """The findings on the image, with their regions."""
        found = [group for group in self.groups if group.is_finding]
        return [(group, region) for group in found for uid, region in group.regions if uid == self.image]


Show = Callable[..., Shown]


@pytest.fixture
def show(source: str, hospital: Hospital, viewers: Callable[[str, str], Viewer]) -> Show:
    """Shows a measurement report of an exam: the exam's, or that of an image."""

    def shown(exam: str, kind: str = "measurement_sr") -> Shown:
        category = EXAMS[exam][1]
        assert hospital.readings[exam].category is category, "the model reads it differently now: choose another exam"
        report, viewer = hospital.results[exam][kind], viewers(source, exam)
        found = groups(report)
        image = found[0].regions[0][0]
        count = sum(uid == image for group in found for uid, _ in group.regions)
        return Shown(viewer, found, image, viewer.show_report(report.SOPInstanceUID, image, count))

    return shown


def drawn(marks: list[Mark], corners: np.ndarray) -> Mark:
    """The mark that was drawn for a region of the report, every corner within a pixel."""
    fitting = [each for each in marks if len(each.stored) == len(corners) and np.abs(each.stored - corners).max() <= 1]
    assert len(fitting) == 1, f"of {marks} not one lies at {corners.tolist()}"
    return fitting[0]


def test_the_positives_marks_stand_on_the_right_pixels_of_the_right_view(show: Show, hospital: Hospital) -> None:
    shown = show("positive")
    viewer, exam, findings = shown.viewer, shown.groups[0], shown.findings()
    assert findings, "the most suspicious view has none"
    marks = shown.marks
    assert {mark.sop_instance_uid for mark in marks} == {shown.image}
    painted, stored = viewer.canvas(), hospital.pixels("positive", shown.image)
    for lesion, region in findings:
        mark = drawn(marks, region)
        assert np.abs(displacement(mark, painted, stored, region)).max() <= 1
        moved = region + np.array([6, 0])
        assert np.abs(displacement(mark, painted, stored, moved)).max() > 1, "the check itself sees no displacement"
        assert any("%" in line for line in shown.lines(lesion))
    assert shown.lines(exam)[: len(exam.comments)] == exam.comments
    assert viewer.faults == []
    viewer.picture("positive")


@pytest.mark.parametrize("view", ["L CC", "L MLO"])
def test_a_report_per_image_shows_the_marks_of_each_view_on_the_tumour(
    show: Show, hospital: Hospital, view: str
) -> None:
    """The exam's report is opened on its most suspicious view, and shows the marks of that one alone."""
    shown = show("positive", f"image_sr, {view}")
    (tumour,) = hospital.tumours("positive", shown.image)
    marks, centre = shown.marks, tumour.mean(axis=0)
    boxes = [drawn(marks, region).stored for _, region in shown.findings()]
    hit = [box for box in boxes if (box.min(axis=0) < centre).all() and (centre < box.max(axis=0)).all()]
    assert hit, f"{centre} is in none of {boxes}"
    assert np.ptp(hit[0], axis=0).max() < 2 * (tumour[1] - tumour[0]).max(), "the mark is bigger than it need be"
    assert shown.viewer.faults == []
    shown.viewer.picture(f"positive-{view.replace(' ', '-')}")


@pytest.mark.parametrize("exam", ["negative", "not read"])
def test_an_exam_without_marks_opens_and_says_what_it_is(show: Show, hospital: Hospital, exam: str) -> None:
    shown = show(exam)
    viewer, (group,) = shown.viewer, shown.groups
    (mark,) = shown.marks
    assert mark.sop_instance_uid == shown.image
    drawn([mark], group.regions[0][1])
    assert shown.lines(group)[: len(group.comments)] == group.comments
    assert hospital.readings[exam].category is not Category.NOT_READ or "Not read" in group.comments[0]
    assert (viewer.faults, viewer.toasts()) == ([], [])
    viewer.picture(exam.replace(" ", "-"))


@pytest.mark.parametrize("exam", EXAMS)
def test_the_summary_card_shows_and_has_a_thumbnail(
    viewers: Callable[[str, str], Viewer], source: str, hospital: Hospital, exam: str
) -> None:
    card, viewer = hospital.results[exam]["summary_sc"], viewers(source, exam)
    assert likeness(viewer.thumbnail(card.SOPInstanceUID), card.pixel_array) > 0.9
    viewer.show(card.SOPInstanceUID, card.SOPInstanceUID)
    assert likeness(viewer.canvas(), card.pixel_array) > 0.95
    viewer.picture(f"{exam.replace(' ', '-')}-card")


def test_the_overlays_show_and_have_a_thumbnail(
    viewers: Callable[[str, str], Viewer], source: str, hospital: Hospital
) -> None:
    viewer = viewers(source, "positive")
    first, second = (hospital.results["positive"][f"overlay_sc, {view}"] for view in ("L CC", "L MLO"))
    viewer.show(first.SOPInstanceUID, first.SOPInstanceUID)
    assert likeness(viewer.canvas(), first.pixel_array) > 0.95
    viewer.next_image(second.SOPInstanceUID)
    assert likeness(viewer.canvas(), second.pixel_array) > 0.95
    assert max(likeness(viewer.thumbnail(first.SOPInstanceUID), each.pixel_array) for each in (first, second)) > 0.9
    viewer.picture("positive-overlay")


def test_a_mark_is_for_reading_and_nobody_is_asked_what_to_do_with_it(show: Show, hospital: Hospital) -> None:
    viewer = show("positive").viewer
    assert not viewer.may_move_marks_of(hospital.results["positive"]["measurement_sr"].SOPInstanceUID)


def test_a_report_without_a_region_shows_nothing_and_what_goes_wrong_is_noticed(
    viewers: Callable[[str, str], Viewer], hospital: Hospital
) -> None:
    """So that the other tests mean something: without regions the viewport stays empty, and OHIF says no word of it."""
    viewer = viewers("pacs", BROKEN)
    viewer.show(hospital.results[BROKEN]["measurement_sr"].SOPInstanceUID)
    viewer.until_empty()
    assert viewer.faults == []
    faults = " ".join(viewer.provoke_faults())
    assert all(word in faults for word in ("console: provoked", "exception: ", "asks another machine: "))


def test_what_it_cannot_draw_is_listed_and_breaks_nothing(
    viewers: Callable[[str, str], Viewer], source: str, hospital: Hospital
) -> None:
    made, viewer = hospital.results["positive"], viewers(source, "positive")
    viewer.show(made["mammography_cad_sr"].SOPInstanceUID)
    assert "could not be added to the viewport" in viewer.until_told()
    for kind in ("presentation_state, L", "key_objects"):
        viewer.show(made[kind].SOPInstanceUID)
    viewer.show(made["summary_sc"].SOPInstanceUID, made["summary_sc"].SOPInstanceUID)
    assert viewer.faults == []
