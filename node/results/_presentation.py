"""The modules of a presentation state: what it refers to, how that is displayed, what is drawn on it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import View
from ai.findings import Finding, FindingType, Region
from node.results import Report, _document, _sr, _text
from node.results._identity import evidence, reference_item
from node.results._sr import Point

_LAYER = "AI_MARKS"
_FACTS = "AI_RESULT"
_COLOUR = [50000, 37000, 48000]  # CIELab of a light orange, in the 16-bit scale of PS3.3 C.10.7.1.1


def refer(dataset: Dataset, images: Sequence[Dataset]) -> None:
    """Presentation State Relationship (C.11.11)."""
    dataset.ReferencedSeriesSequence = []
    for series in evidence(images)[0].ReferencedSeriesSequence:
        item = Dataset()
        item.SeriesInstanceUID = series.SeriesInstanceUID
        item.ReferencedImageSequence = series.ReferencedSOPSequence
        dataset.ReferencedSeriesSequence.append(item)


def display(dataset: Dataset, images: Sequence[Dataset]) -> None:
    """Displayed Area (C.10.4), Softcopy VOI LUT (C.11.8) and Softcopy Presentation LUT (C.11.6)."""
    dataset.DisplayedAreaSelectionSequence = [_whole(image) for image in images]
    windows = [item for image in images if (item := _window(image)) is not None]
    if windows:
        dataset.SoftcopyVOILUTSequence = windows
    inverse = elements.text(images[0], "PhotometricInterpretation") == "MONOCHROME1"
    dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"


def annotate(dataset: Dataset, report: Report, images: Sequence[Dataset]) -> None:
    """Graphic Annotation (C.10.5) and Graphic Layer (C.10.7): marks with their labels, and the result in words."""
    marks, facts = [], []
    for image in images:
        facts.append(_annotation(_FACTS, image, [], [_fact(report, image)]))
        found = [
            (number, finding)
            for number, finding in enumerate(report.reading.findings, start=1)
            if finding.region.sop_instance_uid == str(image.SOPInstanceUID)
        ]
        if found:
            graphics = [_graphic(report, finding, number) for number, finding in found]
            marks.append(_annotation(_LAYER, image, graphics, [_label(finding, image) for _, finding in found]))
    dataset.GraphicAnnotationSequence = [*marks, *facts]
    dataset.GraphicLayerSequence = [_layer(_FACTS, 1, "Result of the AI reading")]
    if marks:
        dataset.GraphicLayerSequence.append(_layer(_LAYER, 2, "Marks of the AI reading"))


def _whole(image: Dataset) -> Dataset:
    view = View.from_dataset(image)
    item = Dataset()
    item.ReferencedImageSequence = [reference_item(image)]
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [view.columns, view.rows]
    item.PresentationSizeMode = "SCALE TO FIT"
    item.PresentationPixelAspectRatio = _aspect_ratio(view)
    return item


def _aspect_ratio(view: View) -> list[str]:
    """Vertical to horizontal, as whole numbers (C.7.6.3.1.7)."""
    vertical, horizontal = view.imager_pixel_spacing_mm or (1.0, 1.0)
    return ["1", "1"] if vertical == horizontal else [str(round(vertical * 1e5)), str(round(horizontal * 1e5))]


def _window(image: Dataset) -> Dataset | None:
    """The source's own first VOI LUT, else its first window; None where it has neither."""
    item = Dataset()
    item.ReferencedImageSequence = [reference_item(image)]
    tables = elements.items(image, "VOILUTSequence")
    centers, widths = elements.texts(image, "WindowCenter"), elements.texts(image, "WindowWidth")
    if tables:
        item.VOILUTSequence = [_table(tables[0], signed=elements.integer(image, "PixelRepresentation") == 1)]
    elif centers and widths:
        item.WindowCenter, item.WindowWidth = centers[0], widths[0]
        if explanations := elements.texts(image, "WindowCenterWidthExplanation"):
            item.WindowCenterWidthExplanation = explanations[0]
        if function := elements.text(image, "VOILUTFunction"):
            item.VOILUTFunction = function
    else:
        return None
    return item


def _table(table: Dataset, *, signed: bool) -> Dataset:
    """A VOI LUT Sequence item (C.11.2) whose value representations do not depend on an image beside it."""
    item = copy.deepcopy(table)
    descriptor, data = item["LUTDescriptor"], item["LUTData"]
    item["LUTDescriptor"] = DataElement(descriptor.tag, "SS" if signed else "US", list(descriptor.value))
    if data.VR == "US or OW":
        item["LUTData"] = DataElement(data.tag, "OW" if isinstance(data.value, bytes) else "US", data.value)
    return item


def _annotation(layer: str, image: Dataset, graphics: Sequence[Dataset], texts: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = [reference_item(image)]
    item.GraphicLayer = layer
    if texts:
        item.TextObjectSequence = list(texts)
    if graphics:
        item.GraphicObjectSequence = list(graphics)
    return item


def _graphic(report: Report, finding: Finding, number: int) -> Dataset:
    """The mark, shaped as on the card: round, square, a diamond, six-sided where the model does not tell the kind."""
    graphic_type, points = _shape(finding)
    item = Dataset()
    item.GraphicAnnotationUnits = "PIXEL"
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(points)
    item.GraphicData = [float(value) for point in points for value in point]
    item.GraphicType = graphic_type
    item.GraphicFilled = "N"
    item.TrackingID, item.TrackingUID = _document.lesion_tracking(report, finding, number)
    return item


def _shape(finding: Finding) -> tuple[str, list[Point]]:
    region = finding.region
    column, row = region.center
    across = [(region.left, row), (region.right, row)]
    down = [(column, region.top), (column, region.bottom)]
    match finding.finding_type:
        case FindingType.CALCIFICATION_CLUSTER:
            return "POLYLINE", _sr.box(region)
        case FindingType.ARCHITECTURAL_DISTORTION:
            return "POLYLINE", _sr.closed([down[0], across[1], down[1], across[0]])
        case FindingType.SUSPICIOUS_REGION:
            return "POLYLINE", _sr.closed(_hexagon(region))
        case FindingType.SOFT_TISSUE:
            wide = region.right - region.left >= region.bottom - region.top
            return "ELLIPSE", [*across, *down] if wide else [*down, *across]  # the major axis comes first


def _hexagon(region: Region) -> list[Point]:
    left, top, right, bottom = region.left, region.top, region.right, region.bottom
    quarter, row = (right - left) / 4, region.center[1]
    upper = [(left + quarter, top), (right - quarter, top)]
    return [*upper, (right, row), (right - quarter, bottom), (left + quarter, bottom), (left, row)]


def _label(finding: Finding, image: Dataset) -> Dataset:
    """The lesion's number and score, above its mark or, at the image's top, below it."""
    view, region = View.from_dataset(image), finding.region
    text = f"{finding.lesion}: {_text.FINDING_TYPES[finding.finding_type]} {_text.percent(finding.probability)} %"
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "PIXEL"
    item.UnformattedTextValue = text
    left, top, right, bottom = _beside(region, view, len(text))
    item.BoundingBoxTopLeftHandCorner = [left, top]
    item.BoundingBoxBottomRightHandCorner = [right, bottom]
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item


def _beside(region: Region, view: View, letters: int) -> tuple[float, float, float, float]:
    """A box for a line of text, inside the image."""
    high = min(view.rows, max(24.0, 0.022 * view.rows))
    wide = min(float(view.columns), 0.55 * high * letters)
    left = min(max(0.0, region.left), view.columns - wide)
    top = region.top - 1.3 * high
    if top < 0:
        top = min(region.bottom + 0.3 * high, view.rows - high)
    return left, top, left + wide, top + high


def _fact(report: Report, image: Dataset) -> Dataset:
    """The exam's result and the labelling, at the lower edge of the displayed area whatever its zoom."""
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "DISPLAY"
    item.UnformattedTextValue = "\r\n".join(_facts(report, image))
    item.BoundingBoxTopLeftHandCorner = [0.02, 0.92]
    item.BoundingBoxBottomRightHandCorner = [0.98, 0.99]
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item


def _facts(report: Report, image: Dataset) -> list[str]:
    reading = report.reading
    count = sum(finding.region.sop_instance_uid == str(image.SOPInstanceUID) for finding in reading.findings)
    marked = f"{count} marked" if count else "no region marked"
    line = f"AI triage: {_text.within_a_line(reading.category)}, band {reading.band}/10; this view {marked}"
    if unread := _text.unread_views(reading):
        line += f"; {_text.missing_part(unread)} not read by AI"
    return [line, reading.algorithm.labelling] if reading.algorithm.labelling else [line]


def _layer(name: str, order: int, description: str) -> Dataset:
    item = Dataset()
    item.GraphicLayer = name
    item.GraphicLayerOrder = order
    item.GraphicLayerRecommendedDisplayGrayscaleValue = 65535
    item.GraphicLayerRecommendedDisplayCIELabValue = _COLOUR
    item.GraphicLayerDescription = description
    return item
