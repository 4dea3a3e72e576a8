"""Content items (PS3.3 C.17.3) as plain datasets, and the parts that both structured reports share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset

from ai.exam import View
from ai.findings import Algorithm, Region
from node.results import Report, _codes, _uids
from node.results._codes import Code
from node.results._identity import code_item, reference_item
from node.results._text import parameter_lines

Point = tuple[float, float]

# SOP classes that are no image, by the part of the UID after 1.2.840.10008.5.1.4.1.1 (PS3.4 B.5)
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NOT_IMAGES = ("9.", "11.", "66", "67", "68.", "78.", "79.1", "80.1", "88.", "90.1", "104.", "200.", "201.", "481.")


def is_image(source: Dataset) -> bool:
    """Whether an IMAGE content item may refer to `source`: not a report, presentation state, document, plan."""
    uid = str(source.SOPClassUID)
    return not (uid.startswith(_STORAGE) and uid.removeprefix(_STORAGE).startswith(_NOT_IMAGES))


def item(value_type: str, concept: Code | None, relationship: str = "CONTAINS") -> Dataset:
    """A content item without its value. relationship: to its parent ("" for the root)."""
    dataset = Dataset()
    if relationship:
        dataset.RelationshipType = relationship
    dataset.ValueType = value_type
    if concept is not None:
        dataset.ConceptNameCodeSequence = [code_item(concept)]
    return dataset


def add(parent: Dataset, children: Iterable[Dataset]) -> Dataset:
    """`parent` with `children` appended to its Content Sequence."""
    children = list(children)
    if children:
        parent.ContentSequence = [*parent.get("ContentSequence", []), *children]
    return parent


def container(concept: Code, children: Iterable[Dataset], *, relationship: str = "CONTAINS") -> Dataset:
    """A CONTAINER with SEPARATE continuity of content."""
    dataset = item("CONTAINER", concept, relationship)
    dataset.ContinuityOfContent = "SEPARATE"
    return add(dataset, children)


def code(concept: Code, value: Code, relationship: str = "CONTAINS") -> Dataset:
    """A CODE item."""
    dataset = item("CODE", concept, relationship)
    dataset.ConceptCodeSequence = [code_item(value)]
    return dataset


def text(concept: Code, value: str, relationship: str = "CONTAINS") -> Dataset:
    """A TEXT item."""
    dataset = item("TEXT", concept, relationship)
    dataset.TextValue = value
    return dataset


def uidref(concept: Code, value: str, relationship: str = "CONTAINS") -> Dataset:
    """A UIDREF item."""
    dataset = item("UIDREF", concept, relationship)
    dataset.UID = value
    return dataset


def num(concept: Code, value: str, unit: Code, relationship: str = "CONTAINS") -> Dataset:
    """A NUM item; `value` is a DS of at most 16 characters."""
    dataset = item("NUM", concept, relationship)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [code_item(unit)]
    dataset.MeasuredValueSequence = [measured]
    return dataset


def image(source: Dataset, relationship: str = "CONTAINS", concept: Code | None = None) -> Dataset:
    """An IMAGE item."""
    dataset = item("IMAGE", concept, relationship)
    dataset.ReferencedSOPSequence = [reference_item(source)]
    return dataset


def composite(source: Dataset, relationship: str = "CONTAINS") -> Dataset:
    """A COMPOSITE item: an object that is no image."""
    dataset = item("COMPOSITE", None, relationship)
    dataset.ReferencedSOPSequence = [reference_item(source)]
    return dataset


def scoord(concept: Code, graphic_type: str, points: Sequence[Point], relationship: str) -> Dataset:
    """An SCOORD item without the image it is SELECTED FROM; points are (column, row) of the stored image."""
    dataset = item("SCOORD", concept, relationship)
    dataset.GraphicType = graphic_type
    dataset.GraphicData = [float(value) for point in points for value in point]
    return dataset


def by_reference(position: Sequence[int], relationship: str) -> Dataset:
    """A by-reference relationship: only its type and the target's identifier (C.17.3.2.5)."""
    dataset = Dataset()
    dataset.RelationshipType = relationship
    dataset.ReferencedContentItemIdentifier = list(position)
    return dataset


def box(region: Region) -> list[Point]:
    """The region's rectangle as a closed polyline."""
    left, top, right, bottom = region.left, region.top, region.right, region.bottom
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def closed(outline: Sequence[Point]) -> list[Point]:
    """The polygon as a closed polyline: the last point is the first."""
    return [*outline, outline[0]] if outline[0] != outline[-1] else list(outline)


def language() -> Dataset:
    """TID 1204 Language of Content Item and Descendants."""
    country = code(_codes.COUNTRY, _codes.UNITED_KINGDOM, "HAS CONCEPT MOD")
    return add(code(_codes.LANGUAGE, _codes.ENGLISH, "HAS CONCEPT MOD"), [country])


def algorithm_items(
    algorithm: Algorithm, parameters: Sequence[str] = (), relationship: str = "HAS PROPERTIES"
) -> list[Dataset]:
    """TID 4019 Algorithm Identification."""
    return [
        text(_codes.ALGORITHM_NAME, algorithm.name, relationship),
        text(_codes.ALGORITHM_VERSION, algorithm.version, relationship),
        *(text(_codes.ALGORITHM_PARAMETERS, line, relationship) for line in parameters),
    ]


def device_observer(report: Report) -> list[Dataset]:
    """TID 1001 with TID 1004: the node and its model as the observer."""
    device, reading = report.device, report.reading
    uid = _uids.device_uid(device, reading.algorithm, reading.calibration_version, reading.preprocessing_version)
    context = "HAS OBS CONTEXT"
    return [
        code(_codes.OBSERVER_TYPE, _codes.DEVICE, context),
        uidref(_codes.DEVICE_UID, uid, context),
        text(_codes.DEVICE_NAME, device.station_name, context),
        text(_codes.DEVICE_MANUFACTURER, device.manufacturer, context),
        text(_codes.DEVICE_MODEL_NAME, device.manufacturer_model_name, context),
        text(_codes.DEVICE_SERIAL_NUMBER, device.software_version, context),
    ]


def tracking(identifier: str, uid: str) -> list[Dataset]:
    """TID 4108: a name and a UID of the thing observed."""
    context = "HAS OBS CONTEXT"
    return [
        text(_codes.TRACKING_IDENTIFIER, identifier, context),
        uidref(_codes.TRACKING_UID, uid, context),
    ]


def reader_items(report: Report, relationship: str = "HAS PROPERTIES") -> list[Dataset]:
    """TID 4019 of the reader, with all its parameters."""
    return algorithm_items(report.reading.algorithm, parameter_lines(report.reading), relationship)


def views_of(sources: Iterable[Dataset]) -> dict[str, View]:
    """SOP Instance UID → the header as a view, tolerant of what is missing."""
    return {str(source.SOPInstanceUID): View.from_dataset(source) for source in sources}
