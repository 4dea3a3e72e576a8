"""What GMIC sees of a view: the authors' own images; a hundred erosions done fast; the way back to stored pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from ai.decoding import StoredImage, read_image
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View, ViewPosition
from ai.geometry import Geometry
from ai.models._gmic_input import gmic_input
from ai.models._opening import Bounds, opened_bounds, packed
from ai.pixels import Breast, BreastImage, read_breast
from ai.self_check import sample_views
from tests import support_exams, support_gmic

SAMPLE = sample_views()[STANDARD_VIEWS[0]].view
ROWS, COLUMNS = 2944, 1920


def image(standard: StandardView, values: NDArray[np.uint16]) -> BreastImage:
    """Values as a view whose breast was found by hand."""
    header: View = replace(
        SAMPLE,
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        rows=values.shape[0],
        columns=values.shape[1],
    )
    rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    left = standard.image_laterality is ImageLaterality.LEFT
    breast = Breast(values[::10, ::10] > 0, 10.0, box, left)
    return BreastImage(header, StoredImage("1.2", values, 4095, ""), breast)


def half_ellipse(rows: int, columns: int, high: int, wide: int) -> NDArray[np.uint16]:
    """A breast on the left of an image: `high` rows in the middle of its height, `wide` columns."""
    row, column = np.mgrid[0:rows, 0:columns]
    inside = ((row + 0.5 - rows / 2) / (high / 2)) ** 2 + ((column + 0.5) / wide) ** 2 < 1
    return np.where(inside, 1000 + row % 50 + column % 30, 0).astype(np.uint16)


# --- against the authors' own images


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_input_is_the_authors_own_image(standard: StandardView) -> None:
    values = support_gmic.picture(standard)
    header = image(standard, values).view
    found = gmic_input(read_breast(header, StoredImage("1.2", values, 4095, "")))
    theirs = support_gmic.picture(standard, "exam0/preprocessed").astype(np.float64)
    theirs = (theirs - theirs.mean()) / theirs.std()
    assert np.corrcoef(theirs.ravel(), found.values.ravel())[0, 1] > 0.9999
    np.testing.assert_allclose(found.values, theirs, atol=1e-3)


def test_dicom_of_the_authors_picture_has_the_same_input(tmp_path_factory: pytest.TempPathFactory) -> None:
    for standard, path in support_gmic.write_exam(tmp_path_factory.mktemp("exam")).items():
        read = read_image(path, f"{support_exams.STUDY}.{STANDARD_VIEWS.index(standard) + 1}")
        np.testing.assert_array_equal(read.values, support_gmic.picture(standard))


# --- erosion and dilation


def by_iteration(mask: NDArray[np.bool_], radius: int) -> Bounds | None:
    """The same by the definition: so many steps of a cross, air beyond the border."""
    opened = ndimage.binary_dilation(ndimage.binary_erosion(mask, iterations=radius), iterations=radius)
    labels, count = ndimage.label(opened)
    if not count:
        return None
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = np.flatnonzero(largest.any(axis=1)), np.flatnonzero(largest.any(axis=0))
    return Bounds(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.integers(1, 12),
    st.floats(0.5, 6.0),
    st.floats(0.05, 0.7),
)
def test_opening_is_exactly_that_many_steps(
    seed: int, shape: tuple[int, int], radius: int, smoothness: float, share: float
) -> None:
    """Blobs of every size: parts that touch, that dilation joins again, that are cut by the border, none at all."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), smoothness)
    mask = noise > np.quantile(noise, share)
    assert opened_bounds(packed(mask), shape[1], radius) == by_iteration(mask, radius)


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_opening_of_a_real_breast_is_exactly_a_hundred_steps(standard: StandardView) -> None:
    mask = support_gmic.picture(standard) > 0
    assert opened_bounds(packed(mask), mask.shape[1], 100) == by_iteration(mask, 100)


# --- where the window lies

L_CC, L_MLO = (StandardView(ImageLaterality.LEFT, position) for position in (ViewPosition.CC, ViewPosition.MLO))


def test_a_marker_is_left_out_and_the_breast_has_a_margin() -> None:
    values = half_ellipse(2600, 1500, 1400, 700)
    values[100:220, 1200:1400] = 3000
    geometry = gmic_input(image(L_CC, values)).geometry
    box = (geometry.left, geometry.top, geometry.right, geometry.bottom)
    assert box == pytest.approx((0, 600 - 50, 700 + 50, 2000 + 50), abs=10)


@pytest.mark.parametrize(("standard", "offset"), [(L_CC, 772), (L_MLO, 0)], ids=str)
def test_a_smaller_crop_lies_in_the_middle_on_cc_and_at_the_top_on_mlo(standard: StandardView, offset: int) -> None:
    found = gmic_input(image(standard, half_ellipse(1400, 900, 1400, 800)))
    assert found.geometry.row_offset == offset
    edge = found.values[0, -1]
    assert found.values[offset + 700, 0] > edge, "the chest wall must lie at the window's left side"
    assert (found.values[:offset] == edge).all()
    assert found.values.mean() == pytest.approx(0, abs=1e-5)
    assert found.values.std() == pytest.approx(1, abs=1e-5)


def test_a_breast_wider_than_the_window_keeps_its_foremost_point() -> None:
    geometry = gmic_input(image(L_CC, half_ellipse(2900, 2400, 2800, 2300))).geometry
    assert (geometry.right - geometry.left, geometry.right) == (COLUMNS, pytest.approx(2300, abs=10))


def test_a_breast_taller_than_the_window_is_seen_where_it_is_brightest_but_no_lower_than_it_reaches() -> None:
    values = half_ellipse(4000, 1500, 3900, 900)
    values[3000:3500, :200] += 2000
    low = gmic_input(image(L_CC, values)).geometry
    assert low.bottom - low.top == ROWS
    assert low.top <= 3000 < 3500 <= low.bottom
    mlo = gmic_input(image(L_MLO, values)).geometry
    assert mlo.bottom <= 3950
    upper = gmic_input(image(L_CC, np.ascontiguousarray(values[::-1]))).geometry
    assert upper.top < low.top


def test_air_that_is_not_black_is_made_so_before_the_crop() -> None:
    dark = image(L_CC, half_ellipse(2600, 1500, 1400, 700))
    grey = np.where(dark.image.values > 0, dark.image.values, np.uint16(40))
    lifted = gmic_input(replace(dark, image=replace(dark.image, values=grey)))
    assert lifted.geometry.right == pytest.approx(gmic_input(dark).geometry.right, abs=12)
    assert (lifted.values == lifted.values[0, -1]).sum() > ROWS * COLUMNS / 2


def test_a_breast_too_small_for_a_hundred_erosions_is_cropped_as_it_was_found() -> None:
    values = half_ellipse(800, 600, 180, 120)
    geometry = gmic_input(image(L_CC, values)).geometry
    assert (geometry.right, geometry.bottom) == pytest.approx((120 + 50, 490 + 50), abs=3)


# --- the way back

CORNER = st.tuples(st.integers(0, 300), st.integers(0, 300))


@settings(max_examples=30)
@given(CORNER, st.integers(250, 700), st.integers(500, 1100), st.sampled_from(STANDARD_VIEWS), st.data())
def test_a_box_comes_back_within_a_pixel(
    corner: tuple[int, int], wide: int, high: int, standard: StandardView, data: st.DataObject
) -> None:
    """A bright square put anywhere in the breast is found in the input where the geometry says, and brought back."""
    row, column = (
        data.draw(st.integers(high // 3, high // 2)) + corner[0],
        data.draw(st.integers(20, wide // 2)),
    )
    values = np.zeros((high + 2 * corner[0], wide + 100 + corner[1]), dtype=np.uint16)
    values[corner[0] : corner[0] + high, :wide] = half_ellipse(high, wide, high, wide)
    values[row : row + 24, column : column + 16] = 4000
    if standard.image_laterality is ImageLaterality.RIGHT:
        values = np.ascontiguousarray(values[:, ::-1])
        column = values.shape[1] - column - 16
    found = gmic_input(image(standard, values))
    rows, columns = np.nonzero(found.values > 0.999 * found.values.max())
    box = (float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1)
    back = found.geometry.box_to_stored(box)
    np.testing.assert_allclose(back, (column, row, column + 16, row + 24), atol=1)
    points = np.array([(column, row), (column + 16.0, row + 24.0)])
    np.testing.assert_allclose(found.geometry.to_stored(found.geometry.to_model(points)), points, atol=1e-6)


def test_cells_and_crop_agree_where_nothing_of_the_image_lies() -> None:
    geometry = Geometry(
        left=0, top=0, right=801, bottom=2023, flipped=False, row_step=1.0, column_step=1.0, rows=ROWS, columns=COLUMNS,
        row_offset=460.0,
    )  # fmt: skip
    cells = geometry.cells(64)
    assert (cells.rows, cells.columns, cells.row_offset) == (46, 30, 460 / 64)
    assert not cells.holds((0, 6, 1, 7))
    assert cells.holds((0, 7, 1, 8)), "the image begins in the middle of the eighth row of cells"
    assert cells.holds((12, 8, 13, 9))
    assert not cells.holds((13, 8, 14, 9))
    picture = np.full((2023, 801), 7, np.uint16)
    on_cells = cells.resample(picture)
    assert on_cells[6].max() == 0
    assert on_cells[8, 0] == pytest.approx(7)
    assert on_cells.sum() * 64 * 64 == pytest.approx(float(picture.sum()), rel=1e-4), "nothing is lost"
