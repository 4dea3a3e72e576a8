"""Synthetic screening exams: for tests, the demonstration and the training of the default model.

    woman(seed, density=…, lesions=(LesionKind.SPICULATED_MASS,))   → Woman
    render(woman, standard_view, look=…, pitch_mm=0.2)              → RenderedView (pixels 0–1, truth)
    population(seed, n, prevalence=0.3)                             → women with the system that images each
    simulate_exam(ExamSpec(name=…, seed=…, identity=…))             → SyntheticExam (DICOM datasets, truth)
    demo_exams(seed)                                                → the demonstration's specifications
    wrap({standard_view: array}, identity=…, …)                     → datasets of pictures a caller brings

The pictures are plausible, not real: nothing measured on them says anything about real screening.
"""

from ai.phantom.anatomy import Breast, Lesion, LesionKind, Woman, place, woman
from ai.phantom.exams import ExamSpec, SyntheticExam, SyntheticInstance, simulate_exam
from ai.phantom.exposure import Identity, derived_uid
from ai.phantom.population import ScreenedWoman, member, population
from ai.phantom.rendering import LesionBox, RenderedView, ViewTruth, render, stored
from ai.phantom.scenarios import demo_exams
from ai.phantom.vendors import VENDOR_LOOKS, VendorLook
from ai.phantom.wrap import wrap

__all__ = [
    "VENDOR_LOOKS",
    "Breast",
    "ExamSpec",
    "Identity",
    "Lesion",
    "LesionBox",
    "LesionKind",
    "RenderedView",
    "ScreenedWoman",
    "SyntheticExam",
    "SyntheticInstance",
    "VendorLook",
    "ViewTruth",
    "Woman",
    "demo_exams",
    "derived_uid",
    "member",
    "place",
    "population",
    "render",
    "simulate_exam",
    "stored",
    "woman",
    "wrap",
]
