"""Many women with a screening-like mix of densities, vendors, lesions and benign mimics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ai.findings import BreastComposition
from ai.phantom.anatomy import Lesion, LesionKind, Woman, place, woman
from ai.phantom.noise import stream
from ai.phantom.vendors import VENDOR_LOOKS, VendorLook

# Shares of a–d among screened women of 50–69: few a and d, most b and c.
_DENSITIES = {
    BreastComposition.A: 0.12,
    BreastComposition.B: 0.42,
    BreastComposition.C: 0.37,
    BreastComposition.D: 0.09,
}
# Screen-detected cancers by their leading sign: masses first, then calcifications, then distortion.
_MALIGNANT = {
    LesionKind.SPICULATED_MASS: 0.42,
    LesionKind.LOBULATED_MASS: 0.22,
    LesionKind.PLEOMORPHIC_CALCIFICATIONS: 0.26,
    LesionKind.ARCHITECTURAL_DISTORTION: 0.10,
}
_BENIGN = {
    LesionKind.ROUND_MASS: 0.25,
    LesionKind.LYMPH_NODE: 0.2,
    LesionKind.ROUND_CALCIFICATIONS: 0.2,
    LesionKind.VASCULAR_CALCIFICATION: 0.13,
    LesionKind.FOCAL_ASYMMETRY: 0.12,
    LesionKind.OIL_CYST: 0.1,
}

_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedWoman:
    """A woman and the make of system that images her."""

    woman: Woman
    look: VendorLook


def member(
    seed: int, index: int, *, prevalence: float = 0.006, looks: Sequence[VendorLook] = VENDOR_LOOKS
) -> ScreenedWoman:
    """The index-th woman of the population of that seed; needs none of the others.

    prevalence: 0–1, the share of women with a malignant lesion (about 0.006 in screening; more for training).
    """
    rng = stream(seed, "population", index)
    own_seed = int(rng.integers(2**31))
    has_cancer = bool(rng.random() < prevalence)
    kinds = [_one_of(_MALIGNANT, rng)] if has_cancer else []
    if has_cancer and rng.random() < 0.1:
        kinds.append(_one_of(_MALIGNANT, rng))
    kinds += [_one_of(_BENIGN, rng) for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.37, 0.13])))]
    lesions: list[Lesion] = []
    for number, kind in enumerate(kinds):
        # A second cancer lies in the breast of the first.
        side = lesions[0].image_laterality if number == 1 and lesions[0].malignant and kind in _MALIGNANT else None
        lesions.append(place(kind, seed=own_seed, number=number, image_laterality=side))
    return ScreenedWoman(
        woman=woman(own_seed, density=_one_of(_DENSITIES, rng), lesions=lesions),
        look=looks[int(rng.integers(len(looks)))],
    )


def population(
    seed: int, n: int, *, prevalence: float = 0.006, looks: Sequence[VendorLook] = VENDOR_LOOKS
) -> tuple[ScreenedWoman, ...]:
    """The first n women of the population of that seed (see `member`)."""
    return tuple(member(seed, index, prevalence=prevalence, looks=looks) for index in range(n))


def _one_of(shares: Mapping[_Choice, float], rng: np.random.Generator) -> _Choice:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
