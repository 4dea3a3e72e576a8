"""An RGB picture made by this node as Secondary Capture Image (PS3.3 A.8.1)."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from pydantic import BaseModel
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from ai import elements
from node.results import Report, _codes
from node.results._identity import add_request_attributes, code_item, new_object, reference_item


def new_capture(
    report: Report, kind: str, options: BaseModel, sources: Sequence[Dataset], *, part: str = ""
) -> Dataset:
    """The object without its pixels, description and laterality. sources: the images that the picture shows."""
    dataset = new_object(report, kind, options, SecondaryCaptureImageStorage, part)
    add_request_attributes(dataset, report.sources[0])
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "NO"
    if sources:
        dataset.SourceImageSequence = [_source_item(source) for source in sources]
    return dataset


def _source_item(source: Dataset) -> Dataset:
    """A Source Image Sequence item (PS3.3 C.7.6.1.1.4)."""
    item = reference_item(source)
    item.PurposeOfReferenceCodeSequence = [code_item(_codes.SOURCE_IMAGE)]
    return item


def tell_compression(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """Lossy Image Compression (PS3.3 C.7.6.1.1.5): once lossy, a picture and all that is made of it stay so."""
    lossy = [source for source in sources if elements.text(source, "LossyImageCompression") == "01"]
    dataset.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod") if lossy else ():
        if values := elements.texts(lossy[0], keyword):
            setattr(dataset, keyword, list(values))


def put_pixels(dataset: Dataset, picture: Image.Image) -> None:
    """The RGB picture, 8 bits a sample, colour by pixel."""
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Columns, dataset.Rows = picture.size
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    content = picture.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
