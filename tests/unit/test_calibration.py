"""Score → percentile → band and category."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ai.calibration import ALL, Calibration, OperatingPoints, ReferenceWindow, band
from ai.findings import Category, Stratum

scores = st.floats(0, 1)
samples = st.lists(scores, min_size=2, max_size=200).map(np.array)
OWN = Stratum(manufacturer="M", manufacturer_model_name="X", software_versions="1")
OTHER = Stratum(manufacturer="M", manufacturer_model_name="X", software_versions="2")


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


def test_a_stratum_without_its_own_window_uses_all() -> None:
    own, everyone = ReferenceWindow.of(np.array([0.5, 0.9])), ReferenceWindow.of(np.array([0.0, 0.5]))
    calibration = Calibration(version="1", windows={ALL: everyone, str(OWN): own})
    assert calibration.percentile(0.5, OWN) == 0
    assert calibration.percentile(0.5, OTHER) == 100
    assert calibration.window_name(OWN) == str(OWN)
    assert calibration.window_name(OTHER) == ALL


def test_a_score_that_is_no_number_has_no_percentile() -> None:
    calibration = Calibration(version="1", windows={ALL: ReferenceWindow.of(np.array([0.0, 1.0]))})
    with pytest.raises(ValueError, match="not a number"):
        calibration.percentile(float("nan"), OWN)


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
