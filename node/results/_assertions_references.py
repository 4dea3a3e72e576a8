"""What no validator notices in the objects that point at images: selections, presentation states, overlays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset

from ai import elements
from ai.exam import View
from node.results import _codes
from node.results._assertions import InvalidResult, code_faults, walk


def require_sound_selection(dataset: Dataset, objects: Sequence[Dataset], study_instance_uid: str) -> None:
    """Raises InvalidResult with every fault that `selection_faults` finds."""
    _require(selection_faults(dataset, objects, study_instance_uid))


def require_sound_presentation(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """Raises InvalidResult with every fault that `presentation_faults` finds."""
    _require(presentation_faults(dataset, sources))


def require_sound_overlay(dataset: Dataset, source: Dataset) -> None:
    """Raises InvalidResult with every fault that `overlay_faults` finds."""
    _require(overlay_faults(dataset, source))


def _require(faults: Sequence[str]) -> None:
    if faults:
        raise InvalidResult("the result object is not sound: " + "; ".join(faults))


def selection_faults(dataset: Dataset, objects: Sequence[Dataset], study_instance_uid: str) -> list[str]:
    """The faults of a Key Object Selection of `objects`, as sentences; empty when it is sound."""
    nodes = list(walk(dataset))
    selected = [
        str(node.item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for node in nodes
        if node.item.get("ValueType") in ("IMAGE", "COMPOSITE")
    ]
    evidence = [
        (str(study.StudyInstanceUID), str(reference.ReferencedSOPInstanceUID))
        for study in dataset.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]
    faults = [f"object {uid} is selected {count} times" for uid, count in Counter(selected).items() if count > 1]
    if set(selected) != {str(each.SOPInstanceUID) for each in objects}:
        faults.append("what is selected is not what was meant")
    if {uid for _, uid in evidence} != set(selected):
        faults.append("the evidence is not what is selected")
    if {study for study, _ in evidence} | {str(dataset.StudyInstanceUID)} != {study_instance_uid}:
        faults.append("an object of another study is selected")
    if str(dataset.SOPInstanceUID) in selected:
        faults.append("the document selects itself")
    titles = (_codes.OF_INTEREST.value, _codes.REJECTED_FOR_QUALITY.value)
    if dataset.ConceptNameCodeSequence[0].CodeValue not in titles:
        faults.append("the document has another title than a key object selection of ours")
    return [*faults, *code_faults(nodes)]


def presentation_faults(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    """The faults of a presentation state of some of `sources`, as sentences; empty when it is sound."""
    by_uid = {str(source.SOPInstanceUID): source for source in sources}
    related = [uid for series in dataset.ReferencedSeriesSequence for uid in _referenced(series)]
    if unknown := [uid for uid in related if uid not in by_uid]:
        return [f"image {uid} is referenced and no source" for uid in unknown]
    faults = _study_faults(dataset, sources)
    if len({elements.text(by_uid[uid], "ImageLaterality") for uid in related}) > 1:
        faults.append("images of both breasts are in one presentation state")
    if len({elements.text(by_uid[uid], "PhotometricInterpretation") for uid in related}) > 1:
        faults.append("one presentation LUT shape is given for different photometric interpretations")
    if len(set(related)) < len(related):
        faults.append("an image is referenced twice")
    areas = [uid for area in dataset.DisplayedAreaSelectionSequence for uid in _referenced(area)]
    if sorted(areas) != sorted(related):
        faults.append("the displayed areas are not those of the images")
    for keyword in ("GraphicAnnotationSequence", "SoftcopyVOILUTSequence"):
        outside = {uid for each in dataset.get(keyword) or () for uid in _referenced(each)} - set(related)
        faults += [f"image {uid} is in {keyword} and not in the relationship" for uid in sorted(outside)]
    return [*faults, *_area_faults(dataset, by_uid), *_graphic_faults(dataset, by_uid), *_tracking_faults(dataset)]


def overlay_faults(dataset: Dataset, source: Dataset) -> list[str]:
    """The faults of an overlay of `source`, as sentences; empty when it is sound."""
    faults = _study_faults(dataset, [source])
    for keyword in ("ImageLaterality", "PatientOrientation"):
        if elements.texts(dataset, keyword) != elements.texts(source, keyword):
            faults.append(f"{keyword} is not that of the mammogram")
    views = [
        [elements.code_value(item) for item in elements.items(each, "ViewCodeSequence")] for each in (dataset, source)
    ]
    if views[0] != views[1]:
        faults.append("the view is not that of the mammogram")
    if [str(item.ReferencedSOPInstanceUID) for item in dataset.SourceImageSequence] != [str(source.SOPInstanceUID)]:
        faults.append("the source image is not the mammogram")
    if len(dataset.PixelData) != (size := dataset.Rows * dataset.Columns * 3) + size % 2:
        faults.append("the pixel data are not Rows × Columns × 3 bytes")
    if dataset.BurnedInAnnotation != "YES":
        faults.append("the annotation is burned in and not said to be")
    return faults


def _study_faults(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    studies = {str(source.StudyInstanceUID) for source in sources}
    return [] if studies == {str(dataset.StudyInstanceUID)} else ["Study Instance UID is not that of its sources"]


def _referenced(item: Dataset) -> list[str]:
    return [str(reference.ReferencedSOPInstanceUID) for reference in item.get("ReferencedImageSequence") or ()]


def _area_faults(dataset: Dataset, by_uid: dict[str, Dataset]) -> list[str]:
    """The displayed area is the whole image; its pixels count from 1 (PS3.3 C.10.4)."""
    faults = []
    for area in dataset.DisplayedAreaSelectionSequence:
        corners = [*area.DisplayedAreaTopLeftHandCorner, *area.DisplayedAreaBottomRightHandCorner]
        for uid in _referenced(area):
            view = View.from_dataset(by_uid[uid])
            if corners != [1, 1, view.columns, view.rows]:
                faults.append(f"the displayed area {corners} is not the whole of {view.columns} × {view.rows} pixels")
    return faults


def _graphic_faults(dataset: Dataset, by_uid: dict[str, Dataset]) -> list[str]:
    """Every point lies in its image; every mark is closed (PS3.3 C.10.5.1.2)."""
    faults = []
    layers = {str(layer.GraphicLayer) for layer in dataset.get("GraphicLayerSequence") or ()}
    for annotation in dataset.get("GraphicAnnotationSequence") or ():
        if str(annotation.GraphicLayer) not in layers:
            faults.append(f"an annotation is on the layer {annotation.GraphicLayer}, which there is not")
        for uid in _referenced(annotation):
            if uid not in by_uid:
                continue
            view = View.from_dataset(by_uid[uid])
            for points in _points(annotation):
                if not all(0 <= x <= view.columns and 0 <= y <= view.rows for x, y in points):
                    faults.append(f"a mark on {view.standard_view} lies outside {view.columns} × {view.rows} pixels")
        for graphic in annotation.get("GraphicObjectSequence") or ():
            points = _pairs(graphic.GraphicData)
            if len(points) != graphic.NumberOfGraphicPoints:
                faults.append("a mark has another number of points than it says")
            if graphic.GraphicType == "POLYLINE" and points[0] != points[-1]:
                faults.append("a mark is not closed")
    return faults


def _points(annotation: Dataset) -> Iterator[list[tuple[float, float]]]:
    """The points of an annotation's graphics and texts that are given in pixels."""
    for graphic in annotation.get("GraphicObjectSequence") or ():
        yield _pairs(graphic.GraphicData)
    for text in annotation.get("TextObjectSequence") or ():
        if text.get("BoundingBoxAnnotationUnits") == "PIXEL":
            yield _pairs([*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner])


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(map(float, values[0::2]), map(float, values[1::2]), strict=True))


def _tracking_faults(dataset: Dataset) -> list[str]:
    counts = Counter(
        str(graphic.TrackingUID)
        for annotation in dataset.get("GraphicAnnotationSequence") or ()
        for graphic in annotation.get("GraphicObjectSequence") or ()
    )
    return [f"tracking UID {uid} names {count} marks" for uid, count in counts.items() if count > 1]
