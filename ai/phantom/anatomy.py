"""A synthetic woman: two breasts alike but not mirrored, and what grows in them.

Breast coordinates are relative: depth 0 (chest wall) to 1 (nipple), lateral −1 (medial) to 1 (towards the
axilla), superior −1 to 1. One position projects to both views (see `ai.phantom.geometry`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ai.exam import ImageLaterality
from ai.findings import BreastComposition, FindingType
from ai.phantom.noise import stream


class LesionKind(StrEnum):
    """What a radiologist would call it."""

    SPICULATED_MASS = "SPICULATED_MASS"
    LOBULATED_MASS = "LOBULATED_MASS"  # indistinct margin
    PLEOMORPHIC_CALCIFICATIONS = "PLEOMORPHIC_CALCIFICATIONS"
    ARCHITECTURAL_DISTORTION = "ARCHITECTURAL_DISTORTION"
    FOCAL_ASYMMETRY = "FOCAL_ASYMMETRY"
    ROUND_MASS = "ROUND_MASS"  # circumscribed: cyst or fibroadenoma
    OIL_CYST = "OIL_CYST"
    LYMPH_NODE = "LYMPH_NODE"
    VASCULAR_CALCIFICATION = "VASCULAR_CALCIFICATION"
    ROUND_CALCIFICATIONS = "ROUND_CALCIFICATIONS"  # scattered, smooth, of one kind


@dataclass(frozen=True, slots=True)
class _Habit:
    """How a kind of lesion behaves: usual sizes (diameter, mm), where, and how it changes per round backwards."""

    finding_type: FindingType
    malignant: bool
    diameter_mm: tuple[float, float]
    shrinks_to: float


_SOFT, _CALC, _DISTORTION = (
    FindingType.SOFT_TISSUE,
    FindingType.CALCIFICATION_CLUSTER,
    FindingType.ARCHITECTURAL_DISTORTION,
)
_HABITS = {
    LesionKind.SPICULATED_MASS: _Habit(_SOFT, True, (8.0, 22.0), 0.5),
    LesionKind.LOBULATED_MASS: _Habit(_SOFT, True, (8.0, 20.0), 0.5),
    LesionKind.PLEOMORPHIC_CALCIFICATIONS: _Habit(_CALC, True, (6.0, 20.0), 0.45),
    LesionKind.ARCHITECTURAL_DISTORTION: _Habit(_DISTORTION, True, (14.0, 28.0), 0.6),
    LesionKind.FOCAL_ASYMMETRY: _Habit(_SOFT, False, (14.0, 26.0), 1.0),
    LesionKind.ROUND_MASS: _Habit(_SOFT, False, (7.0, 22.0), 0.9),
    LesionKind.OIL_CYST: _Habit(_CALC, False, (5.0, 12.0), 1.0),
    LesionKind.LYMPH_NODE: _Habit(_SOFT, False, (7.0, 13.0), 1.0),
    LesionKind.VASCULAR_CALCIFICATION: _Habit(_CALC, False, (35.0, 70.0), 0.8),
    LesionKind.ROUND_CALCIFICATIONS: _Habit(_CALC, False, (12.0, 35.0), 0.95),
}
#: A lesion smaller than this in an earlier round was not there yet, mm.
_VISIBLE_FROM_MM = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion at one place in one breast. contrast: 0–1, 1 plainly seen and 0.3 subtle."""

    kind: LesionKind
    image_laterality: ImageLaterality
    depth: float
    lateral: float
    superior: float
    diameter_mm: float
    malignant: bool
    contrast: float = 0.8
    seed: int = 0

    @property
    def finding_type(self) -> FindingType:
        """The single-image finding it shows as."""
        return _HABITS[self.kind].finding_type

    def earlier(self, rounds_ago: int) -> Lesion | None:
        """The lesion as it was some screening rounds ago; None where it was not yet to be seen."""
        diameter_mm = self.diameter_mm * _HABITS[self.kind].shrinks_to ** rounds_ago
        return replace(self, diameter_mm=diameter_mm) if diameter_mm >= _VISIBLE_FROM_MM else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breast:
    """Shape and tissue of one compressed breast; lengths in mm.

    depth_mm: chest wall to nipple. lateral_mm, medial_mm: half widths on CC. upper_mm, lower_mm: nipple to waist and
    to the inframammary fold on MLO. waist: width at the axilla, fraction of the depth. bluntness: outline's exponent.
    gland_fraction: of the volume. gland_lateral, gland_superior: where its middle lies.
    pectoral_mm: muscle's width at the top of MLO; pectoral_bulge: how far its edge swells (+) or
    falls in (−), as a share of that; pectoral_reach: how far below (−) or above nipple level it ends.
    """

    depth_mm: float
    lateral_mm: float
    medial_mm: float
    upper_mm: float
    lower_mm: float
    waist: float
    bluntness: float
    thickness_mm: float
    subcutaneous_mm: float
    gland_fraction: float
    gland_lateral: float
    gland_superior: float
    pectoral_mm: float
    pectoral_reach_mm: float
    pectoral_bulge: float
    strands: float
    texture_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Woman:
    """Everything a rendering needs. `density` is the truth of the breast composition; oblique angle in degrees."""

    seed: int
    density: BreastComposition
    age: int
    right: Breast
    left: Breast
    lesions: tuple[Lesion, ...] = ()
    implant: bool = False
    oblique_angle_deg: float = 45.0

    def breast(self, image_laterality: ImageLaterality) -> Breast:
        """Her right or left breast."""
        return self.right if image_laterality is ImageLaterality.RIGHT else self.left

    @property
    def malignant_sides(self) -> frozenset[ImageLaterality]:
        """The breasts with a malignant lesion."""
        return frozenset(lesion.image_laterality for lesion in self.lesions if lesion.malignant)


_GLAND_FRACTION = {
    BreastComposition.A: (0.015, 0.05),
    BreastComposition.B: (0.07, 0.15),
    BreastComposition.C: (0.2, 0.34),
    BreastComposition.D: (0.42, 0.6),
}


def woman(
    seed: int,
    *,
    density: BreastComposition = BreastComposition.B,
    lesions: Sequence[Lesion | LesionKind] = (),
    implant: bool = False,
) -> Woman:
    """A woman of that seed. A bare LesionKind gets side, place, size and contrast from the seed.

    The anatomy depends only on the seed and the density, so the same woman may be had with and without lesions.
    """
    rng = stream(seed, "woman")
    common = _breast(rng, density, texture_seed=0)
    placed = tuple(
        lesion if isinstance(lesion, Lesion) else place(lesion, seed=seed, number=number)
        for number, lesion in enumerate(lesions)
    )
    return Woman(
        seed=seed,
        density=density,
        age=int(rng.integers(50, 70)),
        right=_varied(common, stream(seed, "R"), texture_seed=1),
        left=_varied(common, stream(seed, "L"), texture_seed=2),
        lesions=placed,
        implant=implant,
        oblique_angle_deg=float(rng.integers(40, 56)),
    )


def place(
    kind: LesionKind,
    *,
    seed: int,
    number: int = 0,
    image_laterality: ImageLaterality | None = None,
    contrast: float | None = None,
) -> Lesion:
    """A lesion of that kind at a plausible place, of a usual size; the number tells two of one woman apart."""
    rng = stream(seed, "lesion", number, kind)
    habit = _HABITS[kind]
    low, high = habit.diameter_mm
    depth, lateral, superior = rng.uniform(0.3, 0.72), rng.normal(0.2, 0.25), rng.normal(0.1, 0.22)
    if kind is LesionKind.LYMPH_NODE:
        depth, lateral, superior = rng.uniform(0.25, 0.4), rng.uniform(0.5, 0.7), rng.uniform(0.4, 0.6)
    side = rng.choice(list(ImageLaterality))
    return Lesion(
        kind=kind,
        image_laterality=image_laterality or ImageLaterality(str(side)),
        depth=float(depth),
        lateral=float(np.clip(lateral, -0.45, 0.7)),
        superior=float(np.clip(superior, -0.45, 0.6)),
        diameter_mm=float(low + (high - low) * rng.beta(1.6, 2.4)),
        malignant=habit.malignant,
        contrast=float(rng.uniform(0.6, 1.0)) if contrast is None else contrast,
        seed=int(rng.integers(2**31)),
    )


def _breast(rng: np.random.Generator, density: BreastComposition, *, texture_seed: int) -> Breast:
    # Fatty breasts are larger on average, dense ones smaller and less compressible.
    size = {"a": 1.1, "b": 1.05, "c": 0.97, "d": 0.9}[density] * float(np.clip(rng.normal(1.0, 0.14), 0.72, 1.4))
    depth = 103.0 * size
    low, high = _GLAND_FRACTION[density]
    waist = float(rng.uniform(0.55, 0.82))
    return Breast(
        depth_mm=depth,
        lateral_mm=depth * float(rng.uniform(0.95, 1.15)),
        medial_mm=depth * float(rng.uniform(0.88, 1.05)),
        upper_mm=depth * float(rng.uniform(1.15, 1.5)),
        lower_mm=depth * float(rng.uniform(0.72, 0.95)),
        waist=waist,
        bluntness=float(rng.uniform(0.62, 0.85)),
        thickness_mm=float(np.clip(rng.normal(58, 9) * size**0.5, 30, 90)),
        subcutaneous_mm=float(rng.uniform(6, 13)) * {"a": 1.2, "b": 1.1, "c": 0.9, "d": 0.65}[density],
        gland_fraction=float(rng.uniform(low, high)),
        gland_lateral=float(rng.normal(0.12, 0.08)),
        gland_superior=float(rng.normal(0.08, 0.08)),
        pectoral_mm=depth * waist * float(rng.uniform(0.55, 0.85)),
        pectoral_reach_mm=float(rng.normal(-4, 16)),
        pectoral_bulge=float(rng.normal(0.06, 0.08)),
        strands=float(rng.uniform(0.7, 1.25)),
        texture_seed=texture_seed,
    )


def _varied(common: Breast, rng: np.random.Generator, *, texture_seed: int) -> Breast:
    def about(value: float, spread: float) -> float:
        return value * float(np.exp(rng.normal(0, spread)))

    return replace(
        common,
        depth_mm=about(common.depth_mm, 0.04),
        lateral_mm=about(common.lateral_mm, 0.04),
        medial_mm=about(common.medial_mm, 0.04),
        upper_mm=about(common.upper_mm, 0.05),
        lower_mm=about(common.lower_mm, 0.05),
        waist=min(about(common.waist, 0.05), 0.92),
        gland_fraction=about(common.gland_fraction, 0.1),
        gland_lateral=common.gland_lateral + float(rng.normal(0, 0.04)),
        gland_superior=common.gland_superior + float(rng.normal(0, 0.04)),
        pectoral_mm=about(common.pectoral_mm, 0.08),
        pectoral_reach_mm=common.pectoral_reach_mm + float(rng.normal(0, 6)),
        texture_seed=texture_seed,
    )
