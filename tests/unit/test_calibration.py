"""Score → percentile → band and category."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ai.calibration import ALL, SCREENING, Calibration, OperatingPoints, ReferenceWindow, band
from ai.findings import Category, Stratum
from ai.placing import Scale
from ai.reasons import CautionCode

scores = st.floats(0, 1)
samples = st.lists(scores, min_size=2, max_size=200).map(np.array)
OWN = Stratum(manufacturer="M", manufacturer_model_name="X", software_versions="1")
OTHER = Stratum(manufacturer="M", manufacturer_model_name="X", software_versions="2")
THIRD = Stratum(manufacturer="N", manufacturer_model_name="Y", software_versions="1")


@given(samples, scores, scores)
def test_a_higher_score_never_has_a_lower_percentile(sample: np.ndarray, one: float, other: float) -> None:
    window = ReferenceWindow.of(sample)
    low, high = sorted((one, other))
    assert 0 <= window.percentile(low) <= window.percentile(high) <= 100


@given(st.floats(0, 100), st.floats(0, 100))
def test_bands_are_ten_and_ascend(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 1 <= band(low) <= band(high) <= 10


@pytest.mark.parametrize(("percentile", "expected"), [(0, 1), (10, 1), (10.1, 2), (90, 9), (90.1, 10), (100, 10)])
def test_a_band_is_a_tenth(percentile: float, expected: int) -> None:
    assert band(percentile) == expected


def test_each_band_holds_a_tenth_of_the_reference_population() -> None:
    population = np.random.default_rng(3).beta(1, 8, 5000)
    window = ReferenceWindow.of(population)
    bands = np.bincount([band(window.percentile(score)) for score in population], minlength=11)[1:]
    assert bands.min() > 450
    assert bands.max() < 550


def test_a_window_of_equal_scores_puts_that_score_in_the_middle() -> None:
    window = ReferenceWindow.of(np.full(50, 0.2))
    assert window.percentile(0.2) == 50
    assert window.percentile(0.1) == 0
    assert window.percentile(0.3) == 100


def calibration(*windows: ReferenceWindow) -> Calibration:
    named = {f"window {number}": window for number, window in enumerate(windows)}
    return Calibration(version="1", windows={ALL: ReferenceWindow.of(np.array([0.0, 0.5])), **named})


def test_a_window_holds_for_the_strata_it_was_learnt_from_and_no_other() -> None:
    found = calibration(ReferenceWindow.of(np.array([0.5, 0.9]), [OWN]))
    assert found.window_of(OWN) == "window 0"
    assert found.window_of(OTHER) is None
    assert found.percentile(0.5, "window 0") == 0
    assert found.percentile(0.5, ALL) == 100


@pytest.mark.parametrize(
    ("manufacturer", "model", "software", "same"),
    [
        ("M", "X", "1", True),
        (" m ", "x", "1", True),
        ("M", "X", " 1", True),
        ("M", "X", "1.0", False),
        ("M", "X", "1, 2", False),
        ("M", "X", "", False),
        ("M", "X1", "1", False),
        ("M Inc", "X", "1", False),
    ],
)
def test_strata_match_but_for_case_and_spacing_and_an_update_alone_makes_another(
    manufacturer: str, model: str, software: str, same: bool
) -> None:
    asked = Stratum(manufacturer=manufacturer, manufacturer_model_name=model, software_versions=software)
    found = calibration(ReferenceWindow.of(np.array([0.5, 0.9]), [OWN]))
    assert (found.window_of(asked) is not None) is same


def test_images_that_name_no_maker_or_no_model_belong_to_no_window() -> None:
    for unnamed in (replace(OWN, manufacturer=""), replace(OWN, manufacturer_model_name=" ")):
        assert calibration(ReferenceWindow.of(np.array([0.5, 0.9]), [unnamed])).window_of(unnamed) is None


def test_a_stratum_in_two_windows_is_refused() -> None:
    window = ReferenceWindow.of(np.array([0.5, 0.9]), [OWN])
    with pytest.raises(ValidationError, match="one window only"):
        calibration(window, window)


def test_a_score_that_is_no_number_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="not a number"):
        calibration().percentile(float("nan"), ALL)


# --- where a score stands


def scale(lenient: bool = False, scores: str = SCREENING) -> Scale:
    window = ReferenceWindow.of(np.linspace(0, 1, 101), [OWN])
    everyone = ReferenceWindow.of(np.linspace(0, 0.5, 101), [THIRD])
    found = Calibration(version="7", windows={ALL: everyone, "own": window})
    return Scale(found, OperatingPoints(), scores=scores, negative_without_reference_population=lenient)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("score", "category"), [(0.1, Category.NEGATIVE), (0.8, Category.INDETERMINATE), (0.99, Category.SUSPICIOUS)]
)
def test_a_known_stratum_is_placed_in_its_own_window_without_a_word(
    score: float, category: Category, lenient: bool
) -> None:
    placed = scale(lenient).place(score, [OWN])
    assert (placed.category, placed.window, placed.cautions) == (category, "own", ())
    assert placed.percentile == pytest.approx(100 * score)
    assert placed.stratum == OWN


@pytest.mark.parametrize(
    ("lenient", "score", "category"),
    [
        (False, 0.1, Category.INDETERMINATE),
        (True, 0.1, Category.NEGATIVE),
        (False, 0.4, Category.INDETERMINATE),
        (False, 0.49, Category.SUSPICIOUS),
        (True, 0.49, Category.SUSPICIOUS),
    ],
)
def test_an_unknown_stratum_is_negative_only_where_the_site_says_so_and_always_told(
    lenient: bool, score: float, category: Category
) -> None:
    placed = scale(lenient).place(score, [OTHER])
    assert placed.category is category
    assert placed.window == ALL
    assert placed.percentile == pytest.approx(200 * score)
    assert [reason.code for reason in placed.cautions] == [CautionCode.NO_REFERENCE_POPULATION]


def test_the_pooled_window_is_no_borrowed_one_for_the_strata_it_was_learnt_from() -> None:
    placed = scale().place(0.1, [THIRD])
    assert (placed.category, placed.window, placed.cautions) == (Category.NEGATIVE, ALL, ())


def test_images_of_two_systems_have_a_reference_population_only_in_a_common_window() -> None:
    placed = scale().place(0.1, [OWN, THIRD])
    assert placed.category is Category.INDETERMINATE
    assert placed.cautions[0].detail == "images of more than one system"
    pooled = ReferenceWindow.of(np.linspace(0, 1, 101), [OWN, THIRD])
    together = Scale(Calibration(version="7", windows={ALL: pooled}), OperatingPoints(), scores=SCREENING)
    assert together.place(0.1, [OWN, THIRD]).category is Category.NEGATIVE


def test_scores_of_another_strategy_are_not_placed_by_these_windows() -> None:
    placed = scale(scores="with_priors, change_weight 0.5").place(0.1, [OWN])
    assert placed.category is Category.INDETERMINATE
    assert "another reading strategy" in placed.cautions[0].detail


@pytest.mark.parametrize(
    ("percentile", "category"),
    [
        (0, Category.NEGATIVE),
        (69.9, Category.NEGATIVE),
        (70, Category.INDETERMINATE),
        (96.9, Category.INDETERMINATE),
        (97, Category.SUSPICIOUS),
        (100, Category.SUSPICIOUS),
    ],
)
def test_the_default_operating_points(percentile: float, category: Category) -> None:
    assert OperatingPoints().category(percentile) is category


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_every_percentile_has_a_category_in_order(one: float, other: float, percentile: float) -> None:
    low, high = sorted((one, other))
    category = OperatingPoints(rule_out_percentile=low, flag_percentile=high).category(percentile)
    assert (category is Category.SUSPICIOUS) == (percentile >= high)
    assert category is not Category.NOT_READ


def test_crossed_operating_points_and_broken_windows_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not be above"):
        OperatingPoints(rule_out_percentile=98, flag_percentile=97)
    with pytest.raises(ValidationError, match="ascend"):
        ReferenceWindow(exams=1, scores=(0.5, 0.2), percentiles=(0, 100))
    with pytest.raises(ValidationError, match="from 0 to 100"):
        ReferenceWindow(exams=1, scores=(0.1, 0.2), percentiles=(0, 99))
    with pytest.raises(ValidationError, match="needs the window 'all'"):
        Calibration(version="1", windows={})


def test_a_calibration_survives_json() -> None:
    calibration = Calibration(version="7", windows={ALL: ReferenceWindow.of(np.linspace(0, 1, 17))})
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration
