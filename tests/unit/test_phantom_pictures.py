"""Synthetic pictures: seeded, anatomically placed, and with a truth that says where things are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, ViewPosition
from ai.findings import BreastComposition
from ai.phantom import (
    VENDOR_LOOKS,
    LesionKind,
    RenderedView,
    VendorLook,
    member,
    place,
    population,
    render,
    stored,
    woman,
)
from ai.phantom.noise import octaves, stream
from ai.phantom.vendors import FJORDLYS, HAVBLIK, NORDVIK

R_CC, L_CC, R_MLO, L_MLO = STANDARD_VIEWS
COARSE_MM = 0.4


@cache
def picture(seed: int, view: StandardView, density: str = "b", implant: bool = False) -> RenderedView:
    return render(
        woman(seed, density=BreastComposition(density), implant=implant), view, look=NORDVIK, pitch_mm=COARSE_MM
    )


def lesion_alone(
    kind: LesionKind, view: StandardView, pitch_mm: float, contrast: float = 1.0
) -> tuple[NDArray[np.float32], RenderedView]:
    """What the lesion adds to the picture of the same woman without it, and the picture with it."""
    lesion = place(kind, seed=5, image_laterality=view.image_laterality, contrast=contrast)
    without, with_lesion = (
        render(woman(5, density=BreastComposition.A, lesions=lesions), view, look=NORDVIK, pitch_mm=pitch_mm)
        for lesions in ((), (lesion,))
    )
    return np.abs(with_lesion.pixels - without.pixels), with_lesion


# Seeds


def test_the_same_seed_gives_the_same_bytes_and_another_gives_another_woman() -> None:
    once, again, other = (
        render(woman(seed), L_CC, look=NORDVIK, pitch_mm=COARSE_MM).pixels.tobytes() for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def test_streams_are_told_apart_by_their_labels() -> None:
    first, second = (stream(1, *labels).random() for labels in (("a", 1), ("a", 2)))
    assert first != second


def test_the_two_breasts_of_a_woman_are_alike_but_not_mirrored() -> None:
    right, left = picture(1, R_CC).pixels[:, ::-1], picture(1, L_CC).pixels
    likeness = np.corrcoef(right.ravel(), left.ravel())[0, 1]
    assert 0.8 < likeness < 0.999, f"correlation of the mirrored right with the left breast: {likeness:.4f}"


# The picture


@pytest.mark.parametrize("view", STANDARD_VIEWS, ids=str)
def test_the_breast_stands_on_its_side_of_an_empty_background(view: StandardView) -> None:
    pixels = picture(3, view).pixels
    wall, far = (-1, 0) if view.image_laterality is ImageLaterality.RIGHT else (0, -1)
    assert (pixels[:, wall] > 0).mean() > 0.4, "the breast must reach the chest-wall edge"
    assert not pixels[:, far].any(), "the other edge must be empty"
    assert 0.2 < (pixels == 0).mean() < 0.85
    assert pixels.dtype == np.float32
    assert pixels.max() <= 1


def test_mlo_shows_the_pectoral_muscle_and_cc_does_not() -> None:
    for view, expected in ((L_MLO, True), (L_CC, False)):
        pixels = picture(3, view, "a").pixels
        rows = np.flatnonzero(pixels[:, 0])
        corner = pixels[rows[0] + 10 : rows[0] + 60, 2:12].mean()
        assert (corner > np.quantile(pixels[pixels > 0], 0.8)) == expected, f"{view}: brightness of the corner {corner}"


def test_denser_breasts_are_brighter() -> None:
    means = [
        np.mean(
            [picture(seed, L_CC, density).pixels[picture(seed, L_CC, density).pixels > 0].mean() for seed in (1, 2)]
        )
        for density in "abcd"
    ]
    assert means == sorted(means), f"mean brightness of densities a–d: {means}"


def test_an_implant_is_a_bright_dome() -> None:
    plain, with_implant = picture(3, L_CC).pixels, picture(3, L_CC, "b", True).pixels
    share = (with_implant > 0.75)[plain > 0].mean()
    assert share > 0.25, f"only {share:.0%} of the breast is as bright as an implant"


def test_noise_has_the_power_law_of_breast_tissue() -> None:
    """Burgess et al. 2001 (Medical Physics 28, 419) find 1/f**3 in mammograms."""
    field = octaves(1, "x", shape=(512, 512), spacing_mm=25.6, pitch_mm=0.4, exponent=3.0)
    spectrum = np.abs(np.fft.rfft2(field * np.hanning(512)[:, None] * np.hanning(512))) ** 2
    radius = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :]) * 512
    radii = np.array([6, 9, 13, 19, 28, 41, 60])
    power = [spectrum[(radius > r * 0.85) & (radius < r * 1.15)].mean() for r in radii]
    slope = -np.polyfit(np.log(radii), np.log(power), 1)[0]
    assert 2.4 < slope < 3.8, f"exponent {slope:.2f}"


@pytest.mark.parametrize("view", [R_CC, L_MLO], ids=str)
def test_a_coarse_picture_is_the_fine_one_resampled(view: StandardView) -> None:
    her = woman(4, lesions=(LesionKind.SPICULATED_MASS, LesionKind.PLEOMORPHIC_CALCIFICATIONS))
    fine, coarse = (render(her, view, look=NORDVIK, pitch_mm=pitch).pixels for pitch in (0.2, COARSE_MM))
    # The chest wall is where both grids begin: at the left edge, or at the right one.
    fine, coarse = (pixels[:, ::-1] if view == R_CC else pixels for pixels in (fine, coarse))
    rows, columns = fine.shape[0] // 2, fine.shape[1] // 2
    coarse = coarse[:rows, :columns]
    means = fine[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    inside = (means > 0.3) & (coarse > 0.3)
    likeness = np.corrcoef(means[inside], coarse[inside])[0, 1]
    assert likeness > 0.97, f"correlation {likeness:.4f}"


def test_each_vendor_has_its_own_matrix_and_values() -> None:
    shown = {look.name: render(woman(1), L_CC, look=look, pitch_mm=COARSE_MM) for look in VENDOR_LOOKS}
    kinds = {
        name: (view.pixels.shape, f"{np.median(view.pixels[view.pixels > 0]):.2f}") for name, view in shown.items()
    }
    assert len(set(kinds.values())) == len(VENDOR_LOOKS), f"matrix and median value: {kinds}"
    full = render(woman(1), L_CC, look=FJORDLYS)
    assert full.pixels.shape in FJORDLYS.matrices
    assert full.pitch_mm == 0.07


@pytest.mark.parametrize("look", [FJORDLYS, HAVBLIK], ids=lambda look: look.photometric_interpretation)
def test_stored_values_have_an_exact_background(look: VendorLook) -> None:
    view = render(woman(1), L_CC, look=look, pitch_mm=COARSE_MM)
    values = stored(view, look)
    background = look.largest_value if look.photometric_interpretation == "MONOCHROME1" else 0
    assert (values[view.pixels == 0] == background).all()
    assert (values[view.pixels > 0] != background).all()
    assert values.max() <= look.largest_value


# Lesions and their truth


@pytest.mark.parametrize("view", [R_CC, L_MLO], ids=str)
@pytest.mark.parametrize("kind", list(LesionKind))
def test_a_lesion_is_where_its_box_says(kind: LesionKind, view: StandardView) -> None:
    added, shown = lesion_alone(kind, view, COARSE_MM)
    (box,) = shown.truth.boxes
    assert added.max() > 0.02, "the lesion must be seen"
    rows, columns = np.indices(added.shape) + 0.5
    margin = 2.0
    inside = (
        (columns > box.left - margin)
        & (columns < box.right + margin)
        & (rows > box.top - margin)
        & (rows < box.bottom + margin)
    )
    share = added[inside].sum() / added.sum()
    assert share > 0.9, f"{share:.0%} of what the lesion adds lies in its box"
    assert 0 <= box.left < box.right <= added.shape[1]
    assert 0 <= box.top < box.bottom <= added.shape[0]


def test_boxes_scale_with_the_pitch() -> None:
    her = woman(6, lesions=(place(LesionKind.SPICULATED_MASS, seed=6, image_laterality=ImageLaterality.LEFT),))
    fine, coarse = (render(her, L_CC, look=NORDVIK, pitch_mm=pitch).truth.boxes[0] for pitch in (0.2, 0.4))
    assert (fine.left, fine.top) == pytest.approx((coarse.left * 2, coarse.top * 2), abs=2)


def test_a_lesion_lies_equally_far_from_the_chest_wall_on_both_views() -> None:
    lesion = place(LesionKind.ROUND_MASS, seed=8, image_laterality=ImageLaterality.RIGHT)
    her = woman(8, lesions=(lesion,))
    depths = []
    for view in (R_CC, R_MLO):
        shown = render(her, view, look=NORDVIK, pitch_mm=COARSE_MM)
        (box,) = shown.truth.boxes
        depths.append((shown.pixels.shape[1] - (box.left + box.right) / 2) * COARSE_MM)
    assert depths[0] == pytest.approx(depths[1], abs=5.0)
    assert not render(her, L_CC, look=NORDVIK, pitch_mm=COARSE_MM).truth.boxes, "the other breast has none"


def test_microcalcifications_show_at_full_size_and_fade_at_a_coarse_pitch() -> None:
    kind, faint = LesionKind.PLEOMORPHIC_CALCIFICATIONS, 0.4
    peaks = [lesion_alone(kind, L_CC, pitch, faint)[0].max() for pitch in (0.1, 0.4)]
    assert peaks[0] > 1.25 * peaks[1], f"peaks {peaks}"


def test_a_cancer_was_smaller_and_then_absent_in_earlier_rounds() -> None:
    lesion = replace(place(LesionKind.SPICULATED_MASS, seed=1, image_laterality=ImageLaterality.LEFT), diameter_mm=10.0)
    her = woman(9, lesions=(lesion,))
    widths = []
    for rounds_ago in range(3):
        boxes = render(her, L_CC, look=NORDVIK, pitch_mm=COARSE_MM, rounds_ago=rounds_ago).truth.boxes
        widths.append(boxes[0].right - boxes[0].left if boxes else 0.0)
    assert widths[0] > widths[1] > widths[2] == 0


def test_an_earlier_round_is_the_same_breast_standing_a_little_differently() -> None:
    now, then = (
        render(woman(9), L_CC, look=NORDVIK, pitch_mm=COARSE_MM, rounds_ago=rounds_ago).pixels for rounds_ago in (0, 1)
    )
    assert not np.array_equal(now, then)
    top_now, top_then = (np.flatnonzero(pixels.any(axis=1))[0] for pixels in (now, then))
    shift = top_now - top_then
    likeness = np.corrcoef(np.roll(then, shift, axis=0).ravel(), now.ravel())[0, 1]
    assert likeness > 0.99, f"correlation {likeness:.3f} after moving it by {shift} rows"


# The population


def test_a_population_has_the_asked_prevalence_and_every_kind_of_woman() -> None:
    women = population(1, 600, prevalence=0.3)
    cancers = [each for each in women if each.woman.malignant_sides]
    assert 0.24 < len(cancers) / len(women) < 0.36
    assert {each.woman.density for each in women} == set(BreastComposition)
    assert {lesion.kind for each in women for lesion in each.woman.lesions} == set(LesionKind)
    assert {each.look.name for each in women} == {look.name for look in VENDOR_LOOKS}
    assert all(len(each.woman.malignant_sides) == 1 for each in cancers)
    assert any(each.woman.lesions for each in women if not each.woman.malignant_sides), "benign mimics are needed"


def test_a_woman_of_a_population_needs_no_others() -> None:
    assert population(7, 5)[3] == member(7, 3)
    assert len({each.woman.seed for each in population(7, 50)}) == 50


def test_lesions_stay_inside_the_breast() -> None:
    for each in population(3, 12, prevalence=1.0):
        for view in (StandardView(side, ViewPosition.CC) for side in each.woman.malignant_sides):
            shown = render(each.woman, view, look=each.look, pitch_mm=COARSE_MM)
            for box in shown.truth.boxes:
                row, column = int((box.top + box.bottom) / 2), int((box.left + box.right) / 2)
                assert shown.pixels[row, column] > 0, f"{box.kind} of woman {each.woman.seed} lies outside"
