"""How the demonstration model is made: what is drawn, what is asked of it, and that a tiny run gives a bundle."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.bundle import Bundle
from ai.calibration import OperatingPoints
from ai.exam import STANDARD_VIEWS
from ai.findings import FindingType
from ai.inference import Engine
from ai.models._input import network_input
from ai.models.demo_net import MAPS
from ai.phantom import VENDOR_LOOKS, LesionKind, VendorLook, member, place, render
from ai.training import cohort
from ai.training.cohort import TrainingView, breast_image, screening_exams, targets, teaching_woman
from ai.training.fit import FitSettings
from ai.training.make import Sizes, make_bundle
from ai.training.report import area_under_curve

L_CC = STANDARD_VIEWS[1]
WOMAN = member(3, 0, prevalence=0.0)


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw coarsely: these tests are not about what the images show."""
    monkeypatch.setattr(cohort, "PITCH_MM", 0.4)


def a_view(*boxes: tuple[tuple[float, float, float, float], int, bool]) -> TrainingView:
    return TrainingView(L_CC, np.zeros((2, 320, 320), np.int8), np.ones((320, 320), bool), boxes)


def test_a_malignant_lesion_lights_its_own_map_and_nothing_is_asked_round_it() -> None:
    wanted, counts = targets(a_view(((80, 80, 160, 160), 0, True)))
    middle, far = (15, 15), (30, 30)
    assert wanted[0][middle] == 1
    assert counts[0][middle] == 1
    assert counts[1][middle] == 0, "the other map may say what it likes there"
    assert wanted[0][far] == 0
    assert counts[0][far] == 1
    assert (wanted[counts == 0] == 0).all()
    border = (15, 10)
    assert (wanted[0][border], counts[0][border]) == (0, 0)


def test_a_benign_lesion_is_as_dark_as_any_tissue() -> None:
    wanted, counts = targets(a_view(((80, 80, 160, 160), 0, False)))
    assert wanted.max() == 0
    assert counts.min() == 1


def test_overlapping_lesions_keep_their_cores() -> None:
    one, other = ((80.0, 80.0, 160.0, 160.0), 0, True), ((120.0, 80.0, 200.0, 160.0), 1, True)
    wanted, counts = targets(a_view(one, other))
    for number, cell in ((0, (15, 12)), (1, (15, 22))):
        assert wanted[number][cell] == counts[number][cell] == 1, f"map {number} lost its lesion"


def test_a_lesion_is_where_the_network_sees_it() -> None:
    lesion = replace(place(LesionKind.ROUND_MASS, seed=4, image_laterality=L_CC.image_laterality), contrast=4.0)
    without, with_it = (
        render(replace(WOMAN.woman, lesions=lesions), L_CC, look=WOMAN.look, pitch_mm=0.4)
        for lesions in ((), (lesion,))
    )
    before = network_input(breast_image(without, WOMAN.look))
    view = cohort.training_view(breast_image(with_it, WOMAN.look), L_CC, with_it.truth.boxes)
    change = np.abs(view.values[0] - before.values[0])
    ((left, top, right, bottom), number, malignant) = view.boxes[0]
    inside = change[int(top) : int(bottom), int(left) : int(right)].mean()
    assert inside > 5 * change.mean(), "the lesion's box does not hold the lesion"
    assert (MAPS[number], malignant) == (FindingType.SOFT_TISSUE, False)


@pytest.mark.parametrize("look", VENDOR_LOOKS[:2], ids=lambda look: str(look.name))
def test_training_sees_what_reading_sees_whatever_the_pitch(look: VendorLook) -> None:
    """Drawn at another pitch, the same breast must give nearly the same network input."""
    fine = network_input(breast_image(render(WOMAN.woman, L_CC, look=look, pitch_mm=0.1), look))
    native = network_input(breast_image(render(WOMAN.woman, L_CC, look=look), look))
    rows, columns = (min(a, b) for a, b in zip(fine.mask.shape, native.mask.shape, strict=True))
    both = fine.mask[:rows, :columns] & native.mask[:rows, :columns]
    for channel, name in enumerate(("mean", "maximum")):
        one, other = fine.values[channel, :rows, :columns][both], native.values[channel, :rows, :columns][both]
        assert abs(float(np.median(one - other))) < 0.1, f"the {name} channel shifts with the pitch"
        assert float(one.std() / other.std()) == pytest.approx(1, abs=0.1), f"the {name} channel scales with the pitch"


def test_exams_come_back_from_the_cache_as_they_were(tmp_path: Path) -> None:
    drawn, kept = (screening_exams(5, 1, prevalence=1.0, cache=tmp_path) for _ in range(2))
    assert len(list(tmp_path.glob("*.npz"))) == 1
    for one, other in zip(drawn[0].views, kept[0].views, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.boxes, one.standard_view) == (other.boxes, other.standard_view)
    assert drawn[0].malignant


def test_a_teaching_woman_has_cancer_in_both_breasts_and_is_always_the_same() -> None:
    woman = teaching_woman(7, 1)
    assert woman == teaching_woman(7, 1)
    assert woman != teaching_woman(8, 1)
    assert {lesion.image_laterality for lesion in woman.woman.lesions if lesion.malignant} == {"R", "L"}


@pytest.mark.parametrize(
    ("scores", "area"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)]
)
def test_area_under_curve(scores: list[float], area: float) -> None:
    assert area_under_curve(np.array(scores), np.array([False, False, True, True])) == area


def test_a_tiny_training_run_gives_a_bundle_that_serves_and_the_same_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ai.training")
    sizes, settings = Sizes(training=1, tuning=1, reference=2), FitSettings(steps=3, batch=2, crop=64)
    first, again = (
        make_bundle(tmp_path / run, seed=7, sizes=sizes, settings=settings, cache=tmp_path / "drawn")
        for run in ("first", "again")
    )
    assert first.weights_sha256 == again.weights_sha256 == Bundle.load(tmp_path / "first").card.weights_sha256
    assert Engine([tmp_path / "first"], operating_points=OperatingPoints()).self_check()
    assert "step 3 of 3" in caplog.text
