"""Marks in a header that make an image something else than a plain view of a screening exam.

Coded elements and enumerated ones come first; free text only where vendors say it nowhere else. An element that must
say YES or NO and says neither is taken for a YES: a mark that is damaged must not vanish.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.dataset import Dataset

from ai import elements

#: Lossy Compression of CID 7203 Image Derivation.
_LOSSY_DERIVATION = "113040"
#: Right and left breast as anatomic region, SCT and the retired SRT codes.
_SIDES = {"73056007": "R", "T-04020": "R", "80248007": "L", "T-04030": "L"}
_CONTRAST_TYPES = frozenset(("SUBTRACTION", "RECOMBINED", "LOW_ENERGY", "HIGH_ENERGY"))
_SYNTHESIZED = re.compile(
    r"\b(C-?VIEW|S-?VIEW|V-?PREVIEW|(INTELLIGENT|INSIGHT|SYNTHETIC|SYNTHESI[SZ]ED|GENERATED) ?2D)\b"
)
_SPECIAL_PADDLE = re.compile(r"SPOT|\bMAG|BIOPSY|NEEDLE|LOCALI[SZ]")
_AGE = re.compile(r"(\d{3})([DWMY])")
_UNITS_A_YEAR: Mapping[str, float] = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}


def digitised_film(dataset: Dataset) -> bool:
    """Conversion Type (0008,0064) DF, or Detector Type (0018,7004) FILM."""
    return elements.text(dataset, "ConversionType").upper() == "DF" or (
        elements.text(dataset, "DetectorType").upper() == "FILM"
    )


def synthesized_2d(dataset: Dataset) -> bool:
    """Named so by the maker's description of series or processing; Image Type is for eligibility to judge."""
    texts = (elements.text(dataset, each) for each in ("SeriesDescription", "AcquisitionDeviceProcessingDescription"))
    return any(_SYNTHESIZED.search(each.upper()) for each in texts)


def contrast_enhanced(dataset: Dataset) -> bool:
    """A contrast agent was given, or the image is one of the energies or their difference."""
    agent = elements.text(dataset, "ContrastBolusAgent").upper()
    types = {each.upper() for each in elements.texts(dataset, "ImageType")}
    coded = elements.items(dataset, "ContrastBolusAgentSequence")
    return agent not in ("", "NONE", "NO") or bool(coded) or bool(types & _CONTRAST_TYPES)


def specimen(dataset: Dataset) -> bool:
    """It has a Specimen Module (PS3.3 C.7.6.22), or what came before that."""
    identifiers = ("ContainerIdentifier", "SpecimenIdentifier")
    return bool(elements.items(dataset, "SpecimenDescriptionSequence")) or any(
        elements.text(dataset, each) for each in identifiers
    )


def partial_view(dataset: Dataset) -> bool:
    """Partial View (0028,1350), or the code of the section shown."""
    return elements.is_flagged(dataset, "PartialView") or bool(elements.items(dataset, "PartialViewCodeSequence"))


def lossy_compression(dataset: Dataset) -> bool:
    """It was compressed with loss once, whatever it is compressed with now (PS3.3 C.7.6.1.1.5)."""
    derivations = {elements.code_value(item) for item in elements.items(dataset, "DerivationCodeSequence")}
    method = elements.text(dataset, "LossyImageCompressionMethod")
    flagged = elements.is_flagged(dataset, "LossyImageCompression", clear="00")
    return flagged or bool(method) or _LOSSY_DERIVATION in derivations


def special_paddle(dataset: Dataset) -> bool:
    """Paddle Description (0018,11A4) names one for spot compression, magnification or biopsy."""
    return bool(_SPECIAL_PADDLE.search(elements.text(dataset, "PaddleDescription").upper()))


def laterality_contradicted(dataset: Dataset, image_laterality: str) -> bool:
    """Whether the series' Laterality (0020,0060) or the anatomic region's code names the other side."""
    named = {elements.text(dataset, "Laterality").upper()} & {"R", "L"}
    regions = elements.items(dataset, "AnatomicRegionSequence")
    named |= {_SIDES[code] for item in regions if (code := elements.code_value(item)) in _SIDES}
    return bool(named - {image_laterality})


def age_years(dataset: Dataset) -> int | None:
    """Patient's Age (0010,1010) in whole years."""
    found = _AGE.fullmatch(elements.text(dataset, "PatientAge").upper())
    return None if found is None else int(int(found[1]) / _UNITS_A_YEAR[found[2]])
