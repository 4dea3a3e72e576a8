"""The summary card as an RGB Secondary Capture: what every viewer shows, also one that knows no structured report."""

from __future__ import annotations

from PIL import Image
from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import ImageLaterality
from node.results import Report, _capture, _card, _document, _text
from node.results._identity import keep_character_set

EVERY_EXAM = True
_SERIES_NUMBER = 9003


class OPTIONS(BaseModel):
    """The card has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def render_card(report: Report) -> Image.Image:
    """The card as an RGB picture, 2048 × 1536; the same report gives the same pixels."""
    return _card.render(report)


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The card as Secondary Capture Image (PS3.3 A.8.1), with its sources and how it was derived."""
    dataset = _capture.new_capture(report, "summary_sc", options, _shown(report))
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = f"AI triage: {_text.within_a_line(report.reading.category)}"
    # of the instance, for Laterality (0020,0060) would be of the series
    dataset.ImageLaterality = _laterality(report)
    dataset.ImageComments = _text.impression(report)
    dataset.DerivationDescription = f"Summary of the AI reading: {_text.CATEGORIES[report.reading.category]}"
    _capture.tell_compression(dataset, _document.images(report))
    _capture.put_pixels(dataset, render_card(report))
    keep_character_set(dataset)
    return {"": dataset}


def _shown(report: Report) -> list[Dataset]:
    """What was read, or for an unread exam what there is."""
    read = {image.sop_instance_uid for image in report.reading.inputs}
    return [source for source in _document.images(report) if not read or source.SOPInstanceUID in read]


def _laterality(report: Report) -> str:
    sides = {image.standard_view.image_laterality for image in report.reading.inputs}
    return str(next(iter(sides))) if len(sides) == 1 else "B" if sides else _laterality_of_sources(report)


def _laterality_of_sources(report: Report) -> str:
    sides = {elements.text(source, "ImageLaterality") for source in _document.images(report)} & set(ImageLaterality)
    return str(next(iter(sides))) if len(sides) == 1 else "B"
