"""The summary card: the same pixels every time, whole letters, marks where they belong, unread never like negative."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ai.exam import STANDARD_VIEWS, StandardView
from ai.findings import Category, Finding
from ai.reasons import Reason, ReasonCode
from node.results import Report, _canvas, _card, _card_plate, summary_sc
from tests.support_readings import (
    ALGORITHM,
    COLUMNS,
    ROWS,
    finding,
    header,
    instance_uid,
    read_exam,
    report,
    single,
    unread_exam,
)
from tests.support_results import CASES, L_CC, L_MLO, R_CC, R_MLO

ORIENTED = {"R CC": "P\\L", "L CC": "A\\R", "R MLO": "P\\F", "L MLO": "A\\F"}
MIRRORED = {"R CC": "A\\L", "L CC": "P\\R", "R MLO": "A\\F", "L MLO": "P\\F"}
UPSIDE_DOWN = {"R CC": "P\\R", "L CC": "A\\L", "R MLO": "P\\H", "L MLO": "A\\H"}


def pixels(one: Report) -> np.ndarray:
    return np.asarray(summary_sc.render_card(one)).astype(int)


def share(card: np.ndarray, colour: tuple[int, int, int]) -> float:
    """The part of the card that has nearly this colour."""
    return float((np.abs(card - colour).sum(axis=2) < 60).mean())


def test_the_same_report_gives_the_same_pixels() -> None:
    one = CASES["with_prior_and_composition"]()
    digests = {hashlib.sha256(summary_sc.render_card(one).tobytes()).hexdigest() for _ in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize("case", CASES)
def test_every_exam_has_a_card_of_the_same_size(case: str) -> None:
    card = summary_sc.render_card(CASES[case]())
    assert (card.mode, card.size) == ("RGB", (2048, 1536))


@pytest.mark.parametrize("weight", ["Regular", "Semibold", "Bold"])
def test_the_font_has_every_letter_of_our_patients(weight: _canvas.Weight) -> None:
    font = _canvas.font(40, weight)
    box = bytes(font.getmask("\ue123"))  # a code point that no font has
    missing = [c for c in "æøåÆØÅäöüÄÖÜßéÁáČčĐđŊŋŠšŦŧŽžÂâŁł→·…–%" if bytes(font.getmask(c)) == box]
    assert not missing, f"the font draws a box for {missing}"


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("not_read")])
def test_an_unread_exam_looks_like_nothing_else(case: str) -> None:
    """Magenta, hatched to the card's edge, and none of the colours of an answer."""
    card = pixels(CASES[case]())
    assert share(card, _canvas.MAGENTA) > 0.03
    assert share(card, _canvas.BLUE) == 0, "an unread exam has the colour of a negative one"
    assert (card[:12].max(axis=(1, 2)) > 150).all(), "the frame is not hatched"


@pytest.mark.parametrize("category", [Category.NEGATIVE, Category.INDETERMINATE, Category.SUSPICIOUS])
def test_the_category_has_its_colour_and_only_its_own(category: Category) -> None:
    card = pixels(report(read_exam(category=category)))
    colours = {c: share(card, colour) for c, colour in _card_plate.COLOURS.items()}
    assert colours[category] > 0.002
    assert colours[Category.NOT_READ] == 0
    assert all(value <= colours[category] for value in colours.values())


def test_a_breast_that_was_not_read_is_said_in_the_unread_colour() -> None:
    whole, half = pixels(CASES["negative"]()), pixels(CASES["one_breast_left_out"]())
    assert share(whole, _canvas.MAGENTA) == 0
    assert share(half, _canvas.MAGENTA) > 0.002


def test_a_view_that_was_read_is_not_called_unread_for_want_of_a_picture() -> None:
    card = pixels(report(read_exam(), previews={}))
    assert share(card, _canvas.MAGENTA) == 0


def one_bright_spot(view: StandardView, at: tuple[float, float]) -> bytes:
    """A dark preview with a white square around `at` (column, row of the stored image)."""
    picture = np.full((ROWS // 8, COLUMNS // 8), 30, np.uint8)
    column, row = int(at[0] / 8), int(at[1] / 8)
    picture[row - 4 : row + 5, column - 4 : column + 5] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def centre(where: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(where)
    return float(columns.mean()), float(rows.mean())


def marked() -> Iterator[tuple[StandardView, Finding]]:
    for view in STANDARD_VIEWS:
        yield view, finding(view, 3, 0.9)


@pytest.mark.parametrize("orientations", [ORIENTED, MIRRORED, UPSIDE_DOWN])
@pytest.mark.parametrize(("view", "mark"), list(marked()), ids=map(str, STANDARD_VIEWS))
def test_a_mark_stands_on_its_lesion_in_the_hanging(
    view: StandardView, mark: Finding, orientations: dict[str, str]
) -> None:
    """Whatever way the image is stored: mark over lesion, right breasts left of the middle, CC above MLO."""
    sources = tuple(header(n, v, PatientOrientation=orientations[str(v)]) for n, v in enumerate(STANDARD_VIEWS, 1))
    reading = replace(read_exam(findings=(mark,), category=Category.SUSPICIOUS), heat_maps=())
    previews = {instance_uid(n): one_bright_spot(v, mark.region.center) for n, v in enumerate(STANDARD_VIEWS, 1)}
    previews = {uid: png for uid, png in previews.items() if uid == mark.region.sop_instance_uid}
    card = pixels(report(reading, sources, previews=previews))[100:1430, 30:1140]
    spot = centre((card > 250).all(axis=2) & (np.indices(card.shape[:2])[0] > 160))
    amber = np.abs(card - _canvas.AMBER).sum(axis=2) < 40
    near = np.indices(card.shape[:2])
    ring = amber & (np.hypot(near[1] - spot[0], near[0] - spot[1]) < 42)
    assert ring.sum() > 200, "there is no mark around the lesion"
    assert np.hypot(*np.subtract(centre(ring), spot)) < 6, "the mark is beside the lesion"
    assert (spot[0] < 557) == (view.image_laterality == "R"), "the breast hangs on the wrong side"


@pytest.mark.parametrize(("orientations", "turned"), [(ORIENTED, False), (MIRRORED, False), (UPSIDE_DOWN, True)])
def test_lateral_and_head_are_up(orientations: dict[str, str], turned: bool) -> None:
    sources = tuple(header(n, v, PatientOrientation=orientations[str(v)]) for n, v in enumerate(STANDARD_VIEWS, 1))
    mark = finding(L_CC, 1, 0.9)
    high = replace(mark, region=replace(mark.region, top=300.0, bottom=500.0))
    reading = replace(read_exam(findings=(high,), category=Category.SUSPICIOUS), heat_maps=())
    previews = {instance_uid(2): one_bright_spot(L_CC, high.region.center)}
    card = pixels(report(reading, sources, previews=previews))[100:1430, 600:1030]
    row = centre((card > 250).all(axis=2))[1]
    assert (row > 350) == turned, f"a lesion near the image's top is drawn at row {row:.0f}"


def test_marks_of_the_two_breasts_keep_to_their_own_halves() -> None:
    """Labels never cross the middle, where they would seem to belong to the other breast."""
    findings = tuple(finding(view, 1, 0.9) for view in (R_CC, L_CC, R_MLO, L_MLO))
    card = pixels(report(replace(read_exam(findings=findings, category=Category.SUSPICIOUS), heat_maps=())))
    middle = card[100:1430, 582:592]
    assert share(middle, _canvas.AMBER) == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Demo^Anna", "Demo, Anna"),
        ("Demo^Anna^Bjørg^^PhD", "Demo, Anna Bjørg"),
        ("Yamada^Hanako=山田^花子", "Yamada, Hanako"),
        ("Demo", "Demo"),
        ("", "no name"),
    ],
)
def test_names_are_written_family_first(value: str, said: str) -> None:
    assert _card.patient_name(value) == said


def test_a_conflict_of_patients_shows_no_name() -> None:
    named = report(unread_exam(Reason(ReasonCode.VIEWS_MISSING)))
    conflict = report(unread_exam(Reason(ReasonCode.PATIENT_CONFLICT)))
    other = report(
        unread_exam(Reason(ReasonCode.PATIENT_CONFLICT)),
        tuple(header(n, v, PatientName="Annen^Kvinne", PatientID="2") for n, v in enumerate(STANDARD_VIEWS, 1)),
    )
    assert (pixels(conflict)[:100] == pixels(other)[:100]).all(), "a conflicting name or ID is on the card"
    assert (pixels(conflict)[:100] != pixels(named)[:100]).any()


def test_the_labelling_is_printed_and_its_band_goes_without_it() -> None:
    plain = replace(read_exam(), algorithm=replace(ALGORITHM, labelling=""))
    with_it, without = pixels(CASES["negative"]()), pixels(report(plain))
    assert share(with_it[1452:], _canvas.WARNING) > 0.01
    assert share(without[1452:], _canvas.WARNING) == 0


def test_text_is_shortened_broken_and_sized_to_fit() -> None:
    assert _canvas.shortened("short", 30, 500) == "short"
    cut = _canvas.shortened("a line that is far too long for its place", 30, 200)
    assert cut.endswith("…")
    assert _canvas.width(cut, 30) <= 200
    assert all(_canvas.width(line, 30) <= 200 for line in _canvas.lines("many words on several lines " * 3, 30, 200))
    broken = _canvas.lines("not all four standard views are readable: L MLO", 30, 560)
    assert [line.endswith("L") for line in broken] == [False, False], "a view's name is broken at its letter"
    assert _canvas.width("Indeterminate", _canvas.fitting_size("Indeterminate", 200, 400), "Regular") <= 400


def test_the_capture_names_its_sources_and_itself() -> None:
    one = CASES["one_breast_left_out"]()
    result = single(summary_sc.build(one, summary_sc.OPTIONS()))
    assert [item.ReferencedSOPInstanceUID for item in result.SourceImageSequence] == [instance_uid(1), instance_uid(3)]
    assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in result.SourceImageSequence} == {"121322"}
    assert (result.BurnedInAnnotation, result.RecognizableVisualFeatures) == ("YES", "NO")
    assert result.ImageLaterality == "R"
    assert list(result.ImageType) == ["DERIVED", "SECONDARY"]
    assert len(result.PixelData) == result.Rows * result.Columns * 3
    assert single(summary_sc.build(CASES["negative"](), summary_sc.OPTIONS())).ImageLaterality == "B"


def test_a_card_of_lossy_images_says_so() -> None:
    sources = tuple(
        header(
            n, v, LossyImageCompression="01", LossyImageCompressionRatio="12", LossyImageCompressionMethod="ISO_10918_1"
        )
        for n, v in enumerate(STANDARD_VIEWS, 1)
    )
    result = single(
        summary_sc.build(report(unread_exam(Reason(ReasonCode.LOSSY_COMPRESSION)), sources), summary_sc.OPTIONS())
    )
    assert (result.LossyImageCompression, result.LossyImageCompressionRatio) == ("01", 12)
