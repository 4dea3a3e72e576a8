"""The summary card can be read: by its size, its contrast, without colour, as a thumbnail, and in what it says."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ai.exam import STANDARD_VIEWS
from ai.findings import Category, HeatMap
from ai.reasons import Caution, CautionCode, Reason, ReasonCode
from node.results import Report, _canvas, _card, _card_plate, _text, summary_sc
from tests.support import REPOSITORY
from tests.support_readings import (
    ALGORITHM,
    COLUMNS,
    ROWS,
    STUDY,
    finding,
    header,
    instance_uid,
    read_exam,
    report,
    unread_exam,
)
from tests.support_results import CASES, L_CC, MASS_AND_CALCIFICATION

#: Of a 5 MP mammography display, 2048 × 2560 on 21.3 inches.
PIXEL_MM = 0.165
ARM_MM = 600
#: Height of Source Sans Pro's capitals, as a share of its size.
CAPITALS = 0.66
#: What eyes without one kind of cone see of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
#: sha256 of the golden card's pixels. After a change of the card: look at it, then put the new one here.
GOLDEN = "dba4b1fd733839b753d448c94146592d2cce236d3ae9ec959d82623a463352dd"


def exam(category: Category) -> Report:
    if category is Category.NOT_READ:
        return report(unread_exam(Reason(ReasonCode.MODEL_FAILED)))
    return report(read_exam(category=category))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is drawn."""
    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def record(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, *rest: object, **more: object) -> None:
        texts.append(text)
        draw(self, xy, text, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts


# --- size


def test_the_smallest_text_is_large_enough_at_arms_length() -> None:
    """ISO 9241-303 wants capitals of 16 minutes of arc at least."""
    capitals_mm = _canvas.SMALLEST * CAPITALS * PIXEL_MM
    minutes = np.degrees(2 * np.arctan(capitals_mm / 2 / ARM_MM)) * 60
    assert minutes >= 16, f"capitals of {capitals_mm:.1f} mm are {minutes:.1f} minutes of arc"


def test_no_text_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: set[int] = set()
    font = _canvas.font

    def record(size: int, weight: _canvas.Weight = "Regular") -> object:
        sizes.add(size)
        return font(size, weight)

    monkeypatch.setattr(_canvas, "font", record)
    long = "Wollstonecraft-Featherstonehaugh^Maximiliane Alexandrina Čáhppesduottar^Đuŋŋá"
    named = tuple(header(n, v, PatientName=long, PatientID="0" * 60) for n, v in enumerate(STANDARD_VIEWS, 1))
    for one in (*(make() for make in CASES.values()), report(read_exam(), named)):
        _card.render(one)
    assert min(sizes) == _canvas.SMALLEST


# --- contrast and colour

ON_THE_GROUND = {"text": _canvas.TEXT, "muted": _canvas.MUTED, "warning": _canvas.WARNING}


@pytest.mark.parametrize("name", ON_THE_GROUND)
def test_text_has_the_contrast_of_wcag_aaa(name: str) -> None:
    assert _canvas.contrast(ON_THE_GROUND[name], _canvas.BACKGROUND) >= 7


def test_text_on_raised_boxes_and_the_labelling_have_the_contrast_of_wcag_aa() -> None:
    assert _canvas.contrast(_canvas.TEXT, _canvas.RAISED) >= 7
    assert _canvas.contrast(_canvas.MUTED, _canvas.RAISED) >= 4.5
    assert _canvas.contrast(_canvas.WARNING, _canvas.blended(_canvas.WARNING, 0.16)) >= 4.5


@pytest.mark.parametrize("category", Category)
def test_a_category_reads_on_its_plate_and_its_colour_on_the_ground(category: Category) -> None:
    assert _canvas.contrast(_card_plate.COLOURS[category], _canvas.BACKGROUND) >= 4.5


def test_a_mark_stands_out_on_the_brightest_and_the_darkest_tissue() -> None:
    """Amber alone vanishes on white; its dark rim does not, and amber stands out from the rim."""
    white = (255, 255, 255)
    assert _canvas.contrast(_canvas.AMBER, white) < 3, "the rim is not needed any more"
    assert _canvas.contrast(_canvas.BACKGROUND, white) > 15
    assert _canvas.contrast(_canvas.AMBER, _canvas.BACKGROUND) > 7


def lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB, D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    levels = np.array(colour) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("eyes", EYES)
def test_no_two_categories_have_colours_alike_to_any_eyes(eyes: str) -> None:
    seen = {category: lab(EYES[eyes] @ linear(colour)) for category, colour in _card_plate.COLOURS.items()}
    for one, other in itertools.combinations(seen, 2):
        difference = float(np.linalg.norm(seen[one] - seen[other]))
        assert difference > 25, f"{one} and {other} differ by {difference:.0f} to eyes with {eyes}"


def plate(category: Category, width: int) -> np.ndarray:
    """The plate in grey, of a card made so wide, as 0–1."""
    card = summary_sc.render_card(exam(category)).convert("L")
    small = card.resize((width, width * card.height // card.width), Image.Resampling.BOX)
    scale = width / card.width
    return np.asarray(small.crop((int(1182 * scale), int(104 * scale), width, int(320 * scale)))) / 255


@pytest.mark.parametrize("width", [128, 256])
def test_a_thumbnail_tells_the_categories_apart_without_any_colour(width: int) -> None:
    plates = {category: plate(category, width) for category in Category}
    for one, other in itertools.combinations(plates, 2):
        # shapes, not brightness: each is brought to the same mean and spread first
        a, b = ((p - p.mean()) / p.std() for p in (plates[one], plates[other]))
        assert float((a * b).mean()) < 0.8, f"{one} and {other} look alike at {width} pixels"


# --- always the same pixels


def golden_report() -> Report:
    """Of whole numbers only, so that no machine's arithmetic shows."""
    rows, columns = np.indices((ROWS // 8, COLUMNS // 8))
    buffer = io.BytesIO()
    Image.fromarray(((rows * 3 + columns * 5) % 251).astype(np.uint8)).save(buffer, "PNG")
    reading = read_exam(findings=MASS_AND_CALCIFICATION, category=Category.SUSPICIOUS)
    heat = HeatMap(sop_instance_uid=instance_uid(2), rows=4, columns=3, values=bytes(range(0, 240, 20)))
    previews = {instance_uid(n): buffer.getvalue() for n in range(1, 5)}
    return replace(report(replace(reading, heat_maps=(heat,)), previews=previews), prior=(read_exam(), "20241014"))


def test_the_card_has_the_same_pixels_on_every_machine() -> None:
    pinned = re.search(r"^pillow==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    if version("pillow") != pinned[1]:
        pytest.skip(f"made with pillow {pinned[1]}: pip install -c constraints.txt pillow")
    assert hashlib.sha256(_card.render(golden_report()).tobytes()).hexdigest() == GOLDEN


# --- what it says


def test_the_numbers_are_those_of_the_structured_report(drawn: list[str]) -> None:
    one = CASES["with_prior_and_composition"]()
    _card.render(one)
    reading = one.reading
    wanted = [_text.percent(each.probability) for each in (*reading.breasts, *reading.views)]
    wanted += [str(reading.band), _text.percentile_sentence(reading), "14.0 → 87.3 %", "8 → 10"]
    assert [text for text in wanted if text not in drawn] == []
    assert any(text.startswith("SINCE 2024-10-14") for text in drawn)


def test_a_prior_read_by_another_model_is_said_to_be(drawn: list[str]) -> None:
    one = CASES["with_prior_and_composition"]()
    assert one.prior is not None
    before = replace(one.prior[0], algorithm=replace(ALGORITHM, version="0.0.9"))
    _card.render(replace(one, prior=(before, one.prior[1])))
    assert "Prior read by demo-net 0.0.9" in drawn


def test_a_prior_that_was_not_read_is_said(drawn: list[str]) -> None:
    _card.render(report(read_exam(), prior=(unread_exam(study_instance_uid=STUDY + ".9"), "20241014")))
    assert "Prior exam 2024-10-14 was not read by AI" in drawn


def test_it_says_whom_the_percentile_compares_with(drawn: list[str]) -> None:
    _card.render(report(read_exam()))
    assert "compared with HOLOGIC / Selenia / 1.8" in drawn
    pooled = replace(ALGORITHM, parameters=("reference window: all",))
    _card.render(report(read_exam(algorithm=pooled)))
    assert "compared with exams of several systems, this one among them" in drawn, "a pooled window is not its own"
    caution = Caution(CautionCode.NO_REFERENCE_POPULATION)
    _card.render(report(read_exam(algorithm=pooled, cautions=(caution,))))
    assert "compared with exams of other systems" in drawn, "a borrowed window is not that of the system"


def test_a_caution_and_the_compared_prior_are_drawn(drawn: list[str]) -> None:
    """What limits the answer in the warning's colour, and the prior that the reading itself compared with as a tick."""
    one = CASES["compared_with_prior_on_unknown_equipment"]()
    card = np.asarray(_card.render(one)).astype(int)
    assert any(text.startswith("No reference population") for text in drawn)
    warned = np.abs(card[440:600, 1182:2016] - _canvas.WARNING).sum(axis=2) < 40
    assert warned.sum() > 1000, "the caution looks like any sentence"
    bars = card[600:760, 1312:1876]
    white = (np.abs(bars - _canvas.TEXT).sum(axis=2) < 20).sum(axis=0)
    assert (white >= 40).any(), "there is no tick where the prior's score was"


@pytest.mark.parametrize(("calibrated", "said"), [(True, "PROBABILITY OF CANCER, %"), (False, "NOT A PROBABILITY")])
def test_it_says_whether_the_score_is_a_probability(drawn: list[str], calibrated: bool, said: str) -> None:
    _card.render(report(read_exam(algorithm=replace(ALGORITHM, calibrated=calibrated))))
    assert any(said in text for text in drawn)


@pytest.mark.parametrize("times", [1, 4, 9])
def test_labelling_of_any_length_is_printed_whole(drawn: list[str], times: int) -> None:
    words = " ".join(["Investigational device, limited by law to investigational use."] * times)
    _card.render(report(read_exam(algorithm=replace(ALGORITHM, labelling=words))))
    assert words in " ".join(drawn)


def test_a_view_that_was_not_read_says_why_in_its_place(drawn: list[str]) -> None:
    _card.render(CASES["one_breast_left_out"]())
    assert drawn.count("not read") == 3, "L CC, L MLO, and the left breast's score"
    assert drawn.count(ReasonCode.BREAST_IMPLANT.sentence) == 2, "once in each of the two views"


def test_every_view_is_named_by_a_letter_that_cannot_be_taken_for_a_marker(drawn: list[str]) -> None:
    _card.render(report(read_exam()))
    assert [drawn.count(each) for each in ("R", "L", "CC", "MLO")] == [2, 2, 2, 2]


def test_an_image_whose_own_marker_is_mirrored_by_the_hanging_is_said_to_be_turned(drawn: list[str]) -> None:
    mirrored = tuple(
        header(n, v, PatientOrientation=("A\\F" if str(v.image_laterality) == "R" else "P\\F"))
        for n, v in enumerate(STANDARD_VIEWS, 1)
    )
    _card.render(report(read_exam(), mirrored))
    assert drawn.count("turned to hang") == 4
    drawn.clear()
    _card.render(report(read_exam()))
    assert "turned to hang" not in drawn


def test_a_region_closer_is_the_region_without_its_mark() -> None:
    mark = finding(L_CC, 1, 0.9)
    reading = replace(read_exam(findings=(mark,), category=Category.SUSPICIOUS), heat_maps=())
    picture = np.full((ROWS // 8, COLUMNS // 8), 30, np.uint8)
    column, row = (int(each / 8) for each in mark.region.center)
    picture[row - 3 : row + 4, column - 3 : column + 4] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    card = np.asarray(_card.render(report(reading, previews={instance_uid(2): buffer.getvalue()}))).astype(int)
    closer = card[1052:1392, 1182:1522]
    rows, columns = np.nonzero((closer > 240).all(axis=2))
    assert len(rows) > 400, "the lesion is not there"
    assert np.hypot(rows.mean() - 170, columns.mean() - 170) < 12, "the lesion is not in the middle"
    assert (np.abs(closer - _canvas.AMBER).sum(axis=2) < 60).sum() == 0, "a mark covers it"


def test_docs_say_the_sizes_that_are_true() -> None:
    said = (Path(REPOSITORY) / "docs" / "card.md").read_text(encoding="utf-8")
    assert f"{_card.SIZE[0]} × {_card.SIZE[1]}" in said
    assert f"{_canvas.SMALLEST} pixels" in said
