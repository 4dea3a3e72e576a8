"""What no validator notices, checked on every structured report before it leaves: wrong is worse than late."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from ai.exam import View
from ai.findings import Reading
from node.errors import NodeError
from node.results import _codes
from node.results._codes import Code

_PERCENTAGES = {
    _codes.PROBABILITY_OF_CANCER.value,
    _codes.CERTAINTY_OF_FINDING.value,
    _codes.CERTAINTY_OF_IMPRESSION.value,
}
_MEANINGS = {(code.value, code.scheme): code.meaning for code in _codes.every()}
_SIDES = {"right": "24028007", "r": "24028007", "left": "7771000", "l": "7771000"}
_NUMBER_OF_SIDE = re.compile(r"\b(right|left|R|L) (\d+\.\d+)", re.IGNORECASE)
_VIEW_IN_NAME = re.compile(r", ([RL] (?:CC|MLO))$")


class InvalidResult(NodeError):
    """A result object breaks a rule of its own; the message lists the faults. A defect here, not of the exam."""


@dataclass(frozen=True, slots=True)
class Node:
    """A content item in its place: identifier (1, 2, 3 …, PS3.3 C.17.3.2.5) and the items above it, root first."""

    position: tuple[int, ...]
    item: Dataset
    above: tuple[Dataset, ...]


def walk(root: Dataset, position: tuple[int, ...] = (1,), above: tuple[Dataset, ...] = ()) -> Iterator[Node]:
    """Every content item below and including `root`, in document order."""
    yield Node(position, root, above)
    for index, child in enumerate(root.get("ContentSequence") or (), start=1):
        yield from walk(child, (*position, index), (*above, root))


def require_sound(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """Raises InvalidResult with every fault that `check` finds."""
    if faults := check(dataset, sources):
        raise InvalidResult("the result object is not sound: " + "; ".join(faults))


def require_complete(reading: Reading, sources: Sequence[Dataset]) -> None:
    """Raises InvalidResult when the reading names images whose headers are not among the sources."""
    named = {image.sop_instance_uid for image in reading.inputs}
    named |= {view.sop_instance_uid for view in reading.views}
    named |= {finding.region.sop_instance_uid for finding in reading.findings}
    if missing := named - {str(source.SOPInstanceUID) for source in sources}:
        raise InvalidResult(f"the reading names images without a source header: {', '.join(sorted(missing))}")


def check(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    """The faults of a structured report, as sentences; empty when it is sound. sources: headers it was made from."""
    nodes = list(walk(dataset))
    by_position = {node.position: node.item for node in nodes}
    by_uid = {str(source.SOPInstanceUID): source for source in sources}
    return [
        *_study_faults(dataset, sources),
        *_language_faults(nodes),
        *_algorithm_faults(nodes),
        *_tracking_faults(nodes),
        *_reference_faults(nodes, by_position, by_uid),
        *_percentage_faults(nodes),
        *_library_faults(nodes, sources),
        *_evidence_faults(dataset, nodes),
        *_coordinate_faults(nodes, by_position, by_uid),
        *_comment_faults(nodes),
        *code_faults(nodes),
    ]


def code_faults(nodes: Sequence[Node]) -> list[str]:
    """Every concept is one of `_codes`, and every code of it is written with its own meaning."""
    faults = []
    for node in nodes:
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
            for item in node.item.get(keyword) or ():
                faults += _meaning_faults(item, node, is_name=keyword == "ConceptNameCodeSequence")
        for measured in node.item.get("MeasuredValueSequence") or ():
            for item in measured.MeasurementUnitsCodeSequence:
                faults += _meaning_faults(item, node, is_name=True)
    return faults


def _meaning_faults(item: Dataset, node: Node, *, is_name: bool) -> list[str]:
    value = item.get("CodeValue") or item.get("LongCodeValue")
    meaning = _MEANINGS.get((value, item.CodingSchemeDesignator))
    if meaning is None:
        return [f"the concept {value} at {node.position} is none of ours"] if is_name else []
    if item.CodeMeaning != meaning:
        return [f"code {value} at {node.position} is called '{item.CodeMeaning}' and means '{meaning}'"]
    return []


def _named(item: Dataset, code: Code) -> bool:
    return _name(item) == code.value


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or ()
    return str(names[0].get("CodeValue", "")) if names else ""


def _study_faults(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    studies = {str(source.StudyInstanceUID) for source in sources}
    return [] if studies == {str(dataset.StudyInstanceUID)} else ["Study Instance UID is not that of its sources"]


def _language_faults(nodes: Sequence[Node]) -> list[str]:
    stated = any(_named(node.item, _codes.LANGUAGE) and len(node.position) == 2 for node in nodes)
    return [] if stated else ["the language is not stated (TID 1204)"]


def _algorithm_faults(nodes: Sequence[Node]) -> list[str]:
    """TID 4019: every name has a version beside it, and every score has an algorithm beside or above it."""
    faults, identified = [], 0
    for node in nodes:
        names = [_name(child) for child in node.item.get("ContentSequence") or () if child.get("TextValue")]
        if _codes.ALGORITHM_NAME.value in names:
            identified += 1
            if _codes.ALGORITHM_VERSION.value not in names:
                faults.append(f"algorithm without a version at {node.position}")
    return faults if identified else ["no algorithm is identified (TID 4019)"]


def _tracking_faults(nodes: Sequence[Node]) -> list[str]:
    counts = Counter(str(node.item.UID) for node in nodes if _named(node.item, _codes.TRACKING_UID))
    return [f"tracking UID {uid} names {count} things" for uid, count in counts.items() if count > 1]


def _target(item: Dataset, by_position: dict[tuple[int, ...], Dataset]) -> Dataset | None:
    """The item itself, or what its by-reference identifier points to; None when that does not exist."""
    if "ReferencedContentItemIdentifier" not in item:
        return item
    found = item.ReferencedContentItemIdentifier
    return by_position.get(tuple(found) if isinstance(found, Iterable) else (found,))


def _reference_faults(
    nodes: Sequence[Node], by_position: dict[tuple[int, ...], Dataset], by_uid: dict[str, Dataset]
) -> list[str]:
    faults = []
    for node in nodes:
        target = _target(node.item, by_position)
        if target is None or (target is not node.item and target.get("ValueType") != "IMAGE"):
            faults.append(f"the reference at {node.position} does not point to an image of the library")
        elif target.get("ValueType") == "IMAGE" and _instance(target) not in by_uid:
            faults.append(f"the image at {node.position} is not one of the sources")
    return faults


def _instance(item: Dataset) -> str:
    return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def _percentage_faults(nodes: Sequence[Node]) -> list[str]:
    faults = []
    unread = any(
        _named(node.item, _codes.FINDINGS_SUMMARY)
        and node.item.ConceptCodeSequence[0].CodeValue == _codes.NONE_SUCCEEDED.value
        for node in nodes
    )
    for node in nodes:
        if _name(node.item) not in _PERCENTAGES:
            continue
        value = float(node.item.MeasuredValueSequence[0].NumericValue)
        if not 0 <= value <= 100:
            faults.append(f"{value} % at {node.position} is not between 0 and 100")
        if unread:
            faults.append(f"a score at {node.position} though no algorithm succeeded")
    return faults


def _library_faults(nodes: Sequence[Node], sources: Sequence[Dataset]) -> list[str]:
    """The image library lists the sources once each, in their order: by-reference indexes count on it."""
    listed = [
        _instance(node.item)
        for node in nodes
        if node.item.get("ValueType") == "IMAGE" and any(_named(item, _codes.IMAGE_LIBRARY) for item in node.above)
    ]
    order = [uid for uid in dict.fromkeys(str(source.SOPInstanceUID) for source in sources) if uid in set(listed)]
    return [] if listed == order else ["the image library does not list the sources once each in their order"]


def _evidence_faults(dataset: Dataset, nodes: Sequence[Node]) -> list[str]:
    evidence = {
        str(reference.ReferencedSOPInstanceUID)
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in dataset.get(keyword) or ()
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    referenced = {_instance(node.item) for node in nodes if node.item.get("ValueType") == "IMAGE"}
    return [f"image {uid} is referenced but no evidence" for uid in sorted(referenced - evidence)]


def _coordinate_faults(
    nodes: Sequence[Node], by_position: dict[tuple[int, ...], Dataset], by_uid: dict[str, Dataset]
) -> list[str]:
    faults = []
    for node in nodes:
        if node.item.get("ValueType") != "SCOORD":
            continue
        targets = [_target(child, by_position) for child in node.item.get("ContentSequence") or ()]
        images = [target for target in targets if target is not None and target.get("ValueType") == "IMAGE"]
        source = by_uid.get(_instance(images[0])) if len(images) == len(targets) == 1 else None
        if source is None:
            faults.append(f"the region at {node.position} is not selected from exactly one source image")
            continue
        view = View.from_dataset(source)
        data = [float(value) for value in node.item.GraphicData]
        inside = all(0 <= x <= view.columns for x in data[0::2]) and all(0 <= y <= view.rows for y in data[1::2])
        if not inside:
            faults.append(f"the region at {node.position} lies outside {view.columns} × {view.rows} pixels")
        if (name := _tracked_view(node)) and name != str(view.standard_view):
            faults.append(f"the region at {node.position} is named {name} but marks {view.standard_view}")
    return faults


def _tracked_view(node: Node) -> str:
    """The view at the end of the tracking identifier beside the region ("Lesion 1, L CC"), "" where none is named."""
    for sibling in node.above[-1].get("ContentSequence") or ():
        if _named(sibling, _codes.TRACKING_IDENTIFIER):
            match = _VIEW_IN_NAME.search(str(sibling.TextValue))
            return match.group(1) if match else ""
    return ""


def _comment_faults(nodes: Sequence[Node]) -> list[str]:
    """In a measurement group, every number that a comment gives for a side is a number measured for that side."""
    faults = []
    for node in nodes:
        if not _named(node.item, _codes.MEASUREMENT_GROUP):
            continue
        children = node.item.get("ContentSequence") or ()
        measured = {(_side(child), _numeric(child)) for child in children if child.get("ValueType") == "NUM"}
        for child in children:
            for side, number in _NUMBER_OF_SIDE.findall(str(child.get("TextValue") or "")):
                if (_SIDES[side.lower()], number) not in measured:
                    faults.append(f"a comment says {side} {number}, which was not measured")
    return faults


def _numeric(item: Dataset) -> str:
    return str(item.MeasuredValueSequence[0].NumericValue)


def _side(item: Dataset) -> str:
    for site in item.get("ContentSequence") or ():
        for child in site.get("ContentSequence") or ():
            if _named(child, _codes.LATERALITY):
                return str(child.ConceptCodeSequence[0].CodeValue)
    return ""
