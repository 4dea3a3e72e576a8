"""Grayscale Softcopy Presentation States (PS3.3 A.33.1): the marks as vectors over the original images, per breast.

The marks can be switched off, and the image beneath is the diagnostic one. What the source says of its own display
(window or look-up table, polarity) is repeated, since a presentation state replaces it. There is no rotation or flip:
how a breast hangs is the workstation's business. An exam that was not read has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from ai import elements
from ai.exam import ImageLaterality
from node.results import Report, _document, _presentation, _text, _uids
from node.results._assertions_references import require_sound_presentation
from node.results._identity import add_request_attributes, keep_character_set, new_object

_KIND = "presentation_state"
_SERIES_NUMBERS = {ImageLaterality.RIGHT: 9005, ImageLaterality.LEFT: 9006}


class OPTIONS(BaseModel):
    """Options of the presentation states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    breasts: Literal["with_findings", "read"] = Field(
        default="with_findings",
        description="Which breasts get one: those with a marked region, or all that were read.",
    )


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """Breast, "R" or "L" → its presentation state. Raises InvalidResult."""
    marked = {finding.image_laterality for finding in report.reading.findings}
    made: dict[str, Dataset] = {}
    for side in ImageLaterality:
        groups = _by_polarity(_read_images(report, side))
        for polarity, images in groups.items() if options.breasts == "read" or side in marked else ():
            part = str(side) if len(groups) == 1 else f"{side} {polarity}"
            made[part] = _state(report, options, part, images)
    return made


def _read_images(report: Report, side: ImageLaterality) -> list[Dataset]:
    read = {i.sop_instance_uid for i in report.reading.inputs if i.standard_view.image_laterality is side}
    return [source for source in _document.images(report) if str(source.SOPInstanceUID) in read]


def _by_polarity(images: Sequence[Dataset]) -> dict[str, list[Dataset]]:
    """Photometric interpretation → images: one presentation LUT shape holds for all that a state refers to."""
    groups: dict[str, list[Dataset]] = {}
    for image in images:
        groups.setdefault(elements.text(image, "PhotometricInterpretation"), []).append(image)
    return groups


def _state(report: Report, options: OPTIONS, part: str, images: Sequence[Dataset]) -> Dataset:
    side = ImageLaterality(part[0])
    dataset = new_object(report, _KIND, options, GrayscaleSoftcopyPresentationStateStorage, part)
    add_request_attributes(dataset, report.sources[0])
    dataset.Modality = "PR"
    # Laterality is of the series (C.7.3.1), so each breast has its own
    dataset.SeriesInstanceUID = _uids.series_instance_uid(report, _KIND, options, str(side))
    dataset.SeriesNumber = _SERIES_NUMBERS[side]
    dataset.SeriesDescription = f"AI triage marks, {_text.SIDES[side]} breast"
    dataset.Laterality = str(side)
    _identify(dataset, report, side)
    _presentation.refer(dataset, images)
    _presentation.display(dataset, images)
    _presentation.annotate(dataset, report, images)
    keep_character_set(dataset)
    require_sound_presentation(dataset, report.sources)
    return dataset


def _identify(dataset: Dataset, report: Report, side: ImageLaterality) -> None:
    """Presentation State Identification (C.11.10), which has no content date but one of its own."""
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = dataset.ContentDate, dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    dataset.ContentLabel = f"AI_{side}"
    dataset.ContentDescription = f"AI triage marks, {_text.SIDES[side]} breast: {_text.marks(report, side) or 'none'}"
    dataset.ContentCreatorName = f"{report.device.manufacturer_model_name}^AI"
