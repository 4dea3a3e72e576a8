"""The breast found in an image, its side and outline, and the way from model pixels back to stored pixels."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ai.decoding import PixelError, StoredImage, read_image
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View, ViewPosition
from ai.geometry import Geometry, area_weights, mean_rows
from ai.pixels import BreastImage, find_breast, outline, preview, read_breast
from ai.reasons import ReasonCode
from ai.self_check import sample_views
from tests.support import shared_data

L_CC = StandardView(ImageLaterality.LEFT, ViewPosition.CC)
SAMPLES = sample_views()


def stored(values: NDArray[np.generic], max_value: int = 4095) -> StoredImage:
    return StoredImage("1.2", values.astype(np.uint16), max_value, "")


def half_disc(background: int = 0, tissue: int = 1500) -> NDArray[np.uint16]:
    """600 × 500, chest wall on the left."""
    row, column = np.mgrid[0:600, 0:500]
    return np.where((row - 300) ** 2 + column**2 < 260**2, tissue, background).astype(np.uint16)


def refusal(values: NDArray[np.generic]) -> ReasonCode:
    with pytest.raises(PixelError) as caught:
        find_breast(stored(values))
    return caught.value.code


def test_the_breast_is_found_and_its_box_holds_it() -> None:
    breast = find_breast(stored(half_disc()))
    left, top, right, bottom = breast.box
    assert breast.chest_wall_left
    assert left == 0
    assert (top, right, bottom) == pytest.approx((40, 260, 560), abs=8)


def test_background_need_not_be_zero() -> None:
    noise = np.random.default_rng(0).integers(0, 60, (600, 500))
    lifted = find_breast(stored(half_disc(background=100) + noise))
    assert lifted.box == pytest.approx(find_breast(stored(half_disc())).box, abs=8)


def test_a_marker_in_the_air_is_not_breast_and_is_forced_to_zero() -> None:
    values = half_disc()
    values[50:80, 400:460] = 4000
    marked = BreastImage(SAMPLES[L_CC].view, stored(values), find_breast(stored(values)))
    assert marked.breast.box == find_breast(stored(half_disc())).box
    whole = replace(marked.geometry(0.1), left=0, top=0, right=500, bottom=600, rows=600, columns=500)
    on_grid, mask = marked.on_grid(whole)
    assert on_grid[50:80, 400:460].max() == 0, "the marker reached the model"
    assert on_grid[~mask].max() == 0, "background is not exactly 0"
    assert on_grid[300, 100] == 1500


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((600, 500)),
        np.full((600, 500), 3000),
        np.random.default_rng(0).integers(0, 4096, (600, 500)),
        np.pad(np.full((100, 100), 2000), ((250, 250), (200, 200))),
    ],
    ids=["blank", "all bright", "noise", "nothing at a side"],
)
def test_no_breast_is_told(values: NDArray[np.generic]) -> None:
    assert refusal(values) is ReasonCode.NO_BREAST_FOUND


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_side_in_the_pixels_must_be_the_headers(standard: StandardView) -> None:
    image, view = SAMPLES[standard].image, SAMPLES[standard].view
    assert read_breast(view, image).breast.chest_wall_left == (standard.image_laterality is ImageLaterality.LEFT)
    mirrored = StoredImage("1.2", np.ascontiguousarray(image.values[:, ::-1]), image.max_value, "")
    with pytest.raises(PixelError) as caught:
        read_breast(view, mirrored)
    assert caught.value.code is ReasonCode.LATERALITY_CONTRADICTED


def test_a_header_of_another_size_is_refused() -> None:
    view = replace(SAMPLES[L_CC].view, rows=10)
    with pytest.raises(PixelError) as caught:
        read_breast(view, SAMPLES[L_CC].image)
    assert caught.value.code is ReasonCode.MATRIX_SIZE


def test_a_real_mammogram_is_cropped_and_faces_right_way() -> None:
    path = shared_data("dicom") / "ge_essential_rmlo_jpeg_lossless.dcm"
    view = View.from_dataset(pydicom.dcmread(path, stop_before_pixels=True))
    image = read_breast(view, read_image(path, view.sop_instance_uid))
    left, top, right, bottom = image.breast.box
    assert not image.breast.chest_wall_left, "the right breast's chest wall is on the right"
    assert 1050 < left < 1180, "the nipple is at column 1164"
    assert (top, right, bottom) == (0, 2394, 3062), "axilla, chest wall and abdomen reach the image's edges"
    values, mask = image.on_grid(image.geometry(0.2))
    columns = np.flatnonzero(mask.any(axis=0))
    assert mask[:, columns[0]].sum() > 5 * mask[:, columns[-1]].sum(), "on the grid the chest wall must lie left"
    assert values[~mask].max() == 0


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_outline_is_a_short_polygon_round_the_breast(standard: StandardView) -> None:
    sample = SAMPLES[standard]
    height, width = sample.image.values.shape
    points = outline(sample.breast, (height, width))
    columns, rows = np.array(points).T
    area = 0.5 * abs(np.dot(columns, np.roll(rows, 1)) - np.dot(rows, np.roll(columns, 1)))
    assert 3 <= len(points) <= 60
    assert columns.min() >= 0
    assert columns.max() <= width
    assert rows.min() >= 0
    assert rows.max() <= height
    assert area == pytest.approx((sample.image.values > 0).sum(), rel=0.05)


@pytest.mark.parametrize("shape", [(600, 500), (3000, 2400), (100, 2000)])
def test_the_preview_is_the_whole_image_in_grey(shape: tuple[int, int]) -> None:
    values = np.zeros(shape, np.uint16)
    values[:, : shape[1] // 3] = np.linspace(500, 4000, shape[0]).astype(np.uint16)[:, None]
    png = Image.open(io.BytesIO(preview(stored(values), None)))
    assert png.format == "PNG"
    assert png.mode == "L"
    assert max(png.size) <= 1024
    assert png.size[0] / png.size[1] == pytest.approx(shape[1] / shape[0], rel=0.02)
    grey = np.asarray(png)
    assert grey[-1, 0] > 200, "bright tissue must look bright"
    assert grey[:, -1].max() == 0, "air must be black"


# --- geometry

geometries = st.builds(
    lambda left, top, width, height, flipped, spacing, pitch: Geometry.of(
        (left, top, left + width, top + height), flipped=flipped, spacing_mm=spacing, pitch_mm=pitch, multiple=32
    ),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.integers(20, 3000),
    st.integers(20, 4000),
    st.booleans(),
    st.tuples(st.floats(0.05, 0.11), st.floats(0.05, 0.11)),
    st.floats(0.05, 1.6),
)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(geometries, st.lists(shares, min_size=1, max_size=5))
def test_a_point_comes_back_to_where_it_was(geometry: Geometry, at: list[tuple[float, float]]) -> None:
    width, height = geometry.right - geometry.left, geometry.bottom - geometry.top
    points = np.array([(geometry.left + x * width, geometry.top + y * height) for x, y in at])
    on_model = geometry.to_model(points)
    np.testing.assert_allclose(geometry.to_stored(on_model), points, atol=1e-6)
    assert (on_model >= -1e-6).all()
    assert (on_model <= np.array([geometry.columns, geometry.rows]) + 1e-6).all(), "the crop must fit on the grid"


@given(geometries, shares, shares)
def test_a_box_comes_back_within_a_pixel_and_stays_in_the_crop(
    geometry: Geometry, first: tuple[float, float], second: tuple[float, float]
) -> None:
    width, height = geometry.right - geometry.left, geometry.bottom - geometry.top
    (left, right), (top, bottom) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    box = np.array([left * width, top * height, right * width, bottom * height]) + np.array(
        [geometry.left, geometry.top] * 2
    )
    corners = geometry.to_model(box.reshape(2, 2))
    (a, c), (b, d) = np.sort(corners[:, 0]), np.sort(corners[:, 1])
    back = geometry.box_to_stored((float(a), float(b), float(c), float(d)))
    np.testing.assert_allclose(back, box, atol=1.0 + 1e-6)
    assert geometry.left <= back[0] < back[2] <= geometry.right
    assert geometry.top <= back[1] < back[3] <= geometry.bottom


@pytest.mark.parametrize("flipped", [False, True])
def test_resampling_puts_a_bright_spot_where_the_geometry_says(flipped: bool) -> None:
    values = np.zeros((400, 300), np.uint16)
    values[201:205, 120:124] = 1000
    geometry = Geometry.of((40, 50, 280, 390), flipped=flipped, spacing_mm=(0.1, 0.1), pitch_mm=0.23)
    grid = geometry.resample(values)
    weights = grid / grid.sum()
    row = float((weights.sum(axis=1) * (np.arange(geometry.rows) + 0.5)).sum())
    column = float((weights.sum(axis=0) * (np.arange(geometry.columns) + 0.5)).sum())
    np.testing.assert_allclose(geometry.to_stored(np.array([(column, row)])), [(122, 203)], atol=1.2)


@given(st.integers(1, 300), st.floats(0.3, 8))
def test_area_means_keep_a_constant_and_lose_nothing(length: int, step: float) -> None:
    count = int(np.ceil(length / step))
    weights = area_weights(length, count, step)
    whole = int(length / step)
    np.testing.assert_allclose(np.asarray(weights.sum(axis=1)).ravel()[:whole], 1.0, atol=1e-4)
    np.testing.assert_allclose(np.asarray(weights.sum(axis=0)).ravel() * step, 1.0, atol=1e-4)


@given(st.integers(1, 700), st.integers(1, 9), st.floats(0.3, 40), st.booleans(), st.floats(-3, 500))
def test_means_of_rows_block_by_block_are_the_same_to_the_last_bit(
    length: int, width: int, step: float, short: bool, offset: float
) -> None:
    """The weights times the whole image is the definition; fewer or more rows may be asked for."""
    values = np.random.default_rng(length).integers(0, 65536, (length, width)).astype(np.uint16)
    count = max(1, int(length / step)) if short else int(np.ceil(length / step)) + 3
    whole = area_weights(length, count, step, offset) @ values.astype(np.float32)
    np.testing.assert_array_equal(mean_rows(values, count, step, offset), whole)


# --- the real mammogram


@pytest.fixture(scope="module")
def mammogram() -> BreastImage:
    path = shared_data("dicom") / "ge_essential_rmlo_jpeg_lossless.dcm"
    view = View.from_dataset(pydicom.dcmread(path, stop_before_pixels=True))
    return read_breast(view, read_image(path, view.sop_instance_uid))


@pytest.mark.parametrize("pitch_mm", [0.0941, 0.2, 0.37])
@settings(max_examples=8, deadline=None)
@given(at=st.tuples(st.floats(0, 1), st.floats(0, 1)), size=st.tuples(st.integers(2, 60), st.integers(2, 60)))
def test_a_models_box_on_the_real_mammogram_is_where_its_pixels_came_from(
    mammogram: BreastImage, pitch_mm: float, at: tuple[float, float], size: tuple[int, int]
) -> None:
    """Painted into the stored image, the box is bright on the grid and all else dark, to one pixel."""
    geometry = mammogram.geometry(pitch_mm, 32)
    assert geometry.flipped, "a right breast"
    width, height = size
    covered = (
        (geometry.right - geometry.left) / geometry.column_step,
        (geometry.bottom - geometry.top) / geometry.row_step,
    )
    left, top = int(at[0] * (covered[0] - width)), int(at[1] * (covered[1] - height))
    stored_box = geometry.box_to_stored((left, top, left + width, top + height))
    first_column, first_row = np.floor(stored_box[:2]).astype(int)
    last_column, last_row = np.ceil(stored_box[2:]).astype(int)
    painted = np.zeros_like(mammogram.image.values)
    painted[first_row:last_row, first_column:last_column] = 1000
    grid = geometry.resample(painted)
    inside = grid[top : top + height, left : left + width]
    assert inside.min() > 999, "a pixel of the box comes from outside the stored box"
    lit = grid > 0
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    assert (rows[0], rows[-1]) == pytest.approx((top, top + height - 1), abs=1)
    assert (columns[0], columns[-1]) == pytest.approx((left, left + width - 1), abs=1)
