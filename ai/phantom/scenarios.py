"""The demonstration's exams: one for each thing a screening node must get right."""

from __future__ import annotations

from dataclasses import replace

from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.findings import BreastComposition
from ai.phantom.anatomy import Lesion, LesionKind, place
from ai.phantom.exams import ExamSpec
from ai.phantom.exposure import Identity
from ai.phantom.vendors import FJORDLYS, HAVBLIK, NORDVIK, NORDVIK_FINE, TINDRA

_A, _B, _C, _D = BreastComposition.A, BreastComposition.B, BreastComposition.C, BreastComposition.D
_RIGHT, _LEFT = ImageLaterality.RIGHT, ImageLaterality.LEFT


def demo_exams(seed: int) -> list[ExamSpec]:
    """Sixteen named exams; every patient is invented. The same seed gives the same exams."""
    specs = (*_findings(seed), *_negatives(seed), *_headers(seed))
    return [
        replace(
            spec,
            study_time=f"{8 + number // 4:02d}{number % 4 * 15:02d}00",
            accession_number=f"MG25{seed % 1000:03d}{number:03d}",
        )
        for number, spec in enumerate(specs)
    ]


def _identity(number: int, patient_name: str, born: str, character_set: str = "ISO_IR 100") -> Identity:
    return Identity(
        patient_name=patient_name,
        patient_id=f"SYN-{number:05d}",
        patient_birth_date=born,
        character_set=character_set,
    )


def _lesion(kind: LesionKind, seed: int, side: ImageLaterality, *, diameter_mm: float, contrast: float = 1.0) -> Lesion:
    return replace(place(kind, seed=seed, image_laterality=side, contrast=contrast), diameter_mm=diameter_mm)


def _findings(seed: int) -> tuple[ExamSpec, ...]:
    return (
        ExamSpec(
            name="spiculated mass, left",
            seed=seed + 1,
            identity=_identity(1, "Lind^Astrid", "19620517"),
            lesions=(_lesion(LesionKind.SPICULATED_MASS, seed + 1, _LEFT, diameter_mm=15),),
        ),
        ExamSpec(
            name="calcification cluster, right",
            seed=seed + 2,
            identity=_identity(2, "Moe^Berit", "19661103"),
            look=NORDVIK,
            transfer_syntax_uid=JPEGLosslessSV1,
            lesions=(_lesion(LesionKind.PLEOMORPHIC_CALCIFICATIONS, seed + 2, _RIGHT, diameter_mm=14),),
        ),
        ExamSpec(
            name="architectural distortion, right, JPEG-LS",
            seed=seed + 3,
            identity=_identity(3, "Dahl^Cecilie", "19590224"),
            look=TINDRA,
            transfer_syntax_uid=JPEGLSLossless,
            lesions=(_lesion(LesionKind.ARCHITECTURAL_DISTORTION, seed + 3, _RIGHT, diameter_mm=24),),
        ),
        ExamSpec(
            name="benign mimics: oil cyst, lymph node, calcified vessel",
            seed=seed + 4,
            identity=_identity(4, "Holm^Dagny", "19570809"),
            density=_A,
            look=NORDVIK_FINE,
            lesions=(
                _lesion(LesionKind.OIL_CYST, seed + 4, _RIGHT, diameter_mm=8),
                _lesion(LesionKind.LYMPH_NODE, seed + 5, _LEFT, diameter_mm=11),
                _lesion(LesionKind.VASCULAR_CALCIFICATION, seed + 6, _LEFT, diameter_mm=55),
            ),
        ),
    )


def _negatives(seed: int) -> tuple[ExamSpec, ...]:
    looks = (FJORDLYS, NORDVIK, TINDRA, NORDVIK_FINE)
    densities, names = (_A, _B, _C, _D), ("Eide^Frida", "Haug^Gerd", "Juell^Hanna", "Krogh^Ingrid")
    return tuple(
        ExamSpec(
            name=f"negative, density {density}",
            seed=seed + 20 + number,
            identity=_identity(20 + number, names[number], f"19{58 + 3 * number}0{number + 2}14"),
            density=density,
            look=looks[number],
            transfer_syntax_uid=JPEGLosslessSV1 if number % 2 else ExplicitVRLittleEndian,
        )
        for number, density in enumerate(densities)
    )


def _headers(seed: int) -> tuple[ExamSpec, ...]:
    return (
        ExamSpec(
            name="three views: L MLO was not taken",
            seed=seed + 30,
            identity=_identity(30, "Lie^Johanne", "19650630"),
            omitted=(StandardView(_LEFT, ViewPosition.MLO),),
        ),
        ExamSpec(
            name="breast implants",
            seed=seed + 31,
            identity=_identity(31, "Myhre^Kaja", "19680212"),
            look=NORDVIK,
            implant=True,
        ),
        ExamSpec(
            name="R CC repeated; the repeat arrives late",
            seed=seed + 32,
            identity=_identity(32, "Nygård^Liv", "19610921"),
            density=_C,
            look=NORDVIK_FINE,
            transfer_syntax_uid=JPEGLosslessSV1,
            repeated=StandardView(_RIGHT, ViewPosition.CC),
        ),
        ExamSpec(
            name="MONOCHROME1, with a lobulated mass, right",
            seed=seed + 33,
            identity=_identity(33, "Opdal^Marit", "19630405"),
            look=HAVBLIK,
            lesions=(_lesion(LesionKind.LOBULATED_MASS, seed + 33, _RIGHT, diameter_mm=16),),
        ),
        ExamSpec(
            name="name in UTF-8",
            seed=seed + 34,
            identity=_identity(34, "Čáhppe^Máret Áŋŋel đ", "19640118", character_set="ISO_IR 192"),
            look=TINDRA,
            transfer_syntax_uid=JPEGLosslessSV1,
        ),
        ExamSpec(
            name="name in Latin-1",
            seed=seed + 35,
            identity=_identity(35, "Ærfugl^Øydis Å", "19601227"),
            density=_C,
            look=NORDVIK,
        ),
        ExamSpec(
            name="raw and processed images",
            seed=seed + 36,
            identity=_identity(36, "Ruud^Nora", "19670803"),
            transfer_syntax_uid=JPEGLosslessSV1,
            with_for_processing=True,
        ),
        ExamSpec(
            name="raw images only",
            seed=seed + 37,
            identity=_identity(37, "Solem^Olga", "19590316"),
            look=NORDVIK,
            presentation_intent_type="FOR PROCESSING",
        ),
    )
