"""The summary card as an RGB Secondary Capture: what every viewer shows, also one that knows no structured report."""

from __future__ import annotations

from PIL import Image
from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from ai import elements
from ai.exam import ImageLaterality
from node.results import Report, _card, _codes, _document, _text
from node.results._identity import (
    add_request_attributes,
    code_item,
    keep_character_set,
    new_object,
    reference_item,
)

_SERIES_NUMBER = 9003


class OPTIONS(BaseModel):
    """The card has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def render_card(report: Report) -> Image.Image:
    """The card as an RGB picture, 2048 × 1536; the same report gives the same pixels."""
    return _card.render(report)


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The card as Secondary Capture Image (PS3.3 A.8.1), with its sources and how it was derived."""
    dataset = new_object(report, "summary_sc", options, SecondaryCaptureImageStorage)
    source = report.sources[0]
    add_request_attributes(dataset, source)
    dataset.Modality = "OT"
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = f"AI triage: {_text.CATEGORIES[report.reading.category].lower()}"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    # of the instance, for Laterality (0020,0060) would be of the series
    dataset.ImageLaterality = _laterality(report)
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.ImageComments = _text.impression(report)
    dataset.DerivationDescription = f"Summary of the AI reading: {_text.CATEGORIES[report.reading.category]}"
    _describe_sources(dataset, report)
    _put_pixels(dataset, render_card(report))
    keep_character_set(dataset)
    return {"": dataset}


def _laterality(report: Report) -> str:
    sides = {image.standard_view.image_laterality for image in report.reading.inputs}
    return str(next(iter(sides))) if len(sides) == 1 else "B" if sides else _laterality_of_sources(report)


def _laterality_of_sources(report: Report) -> str:
    sides = {elements.text(source, "ImageLaterality") for source in _document.images(report)} & set(ImageLaterality)
    return str(next(iter(sides))) if len(sides) == 1 else "B"


def _describe_sources(dataset: Dataset, report: Report) -> None:
    """Source Image Sequence (PS3.3 C.7.6.1.1.4): what was read, or for an unread exam what there is."""
    read = {image.sop_instance_uid for image in report.reading.inputs}
    dataset.SourceImageSequence = []
    for source in _document.images(report):
        if not read or source.SOPInstanceUID in read:
            item = reference_item(source)
            item.PurposeOfReferenceCodeSequence = [code_item(_codes.SOURCE_IMAGE)]
            dataset.SourceImageSequence.append(item)
    if not dataset.SourceImageSequence:
        del dataset.SourceImageSequence
    lossy = [s for s in _document.images(report) if elements.text(s, "LossyImageCompression") == "01"]
    dataset.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod") if lossy else ():
        if values := elements.texts(lossy[0], keyword):
            setattr(dataset, keyword, list(values))


def _put_pixels(dataset: Dataset, card: Image.Image) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Columns, dataset.Rows = card.size
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = card.tobytes()
