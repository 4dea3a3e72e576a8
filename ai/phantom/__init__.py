"""Synthetic screening exams: for tests, the demonstration and the training of the default model.

    woman(seed, density=…, lesions=(LesionKind.SPICULATED_MASS,))   → Woman
    render(woman, standard_view, look=…, pitch_mm=0.2)              → RenderedView (pixels 0–1, truth)
    population(seed, n, prevalence=0.3)                             → women with the system that images each

The pictures are plausible, not real: nothing measured on them says anything about real screening.
"""

from ai.phantom.anatomy import Breast, Lesion, LesionKind, Woman, place, woman
from ai.phantom.population import ScreenedWoman, member, population
from ai.phantom.rendering import LesionBox, RenderedView, ViewTruth, render, stored
from ai.phantom.vendors import VENDOR_LOOKS, VendorLook

__all__ = [
    "VENDOR_LOOKS",
    "Breast",
    "Lesion",
    "LesionBox",
    "LesionKind",
    "RenderedView",
    "ScreenedWoman",
    "VendorLook",
    "ViewTruth",
    "Woman",
    "member",
    "place",
    "population",
    "render",
    "stored",
    "woman",
]
