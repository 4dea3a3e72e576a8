"""Mammography CAD SR (TID 4000): what mammography workstations display as CAD marks.

The tree is plain content items; by-reference targets are the entries of the image library, which is the second
child of the root: item n of the library is 1.2.n. The report has no place for the triage category, percentile and
band: they stand in the Impression Description (111033), with the per-breast scores. So does the breast composition:
TID 4007 has it by CONTAINS from a CODE, which the IOD does not allow (PS3.3 A.35.5.3); its algorithm is identified
under Summary of Analyses.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from ai.findings import Category, Finding, FindingType
from node.results import Report, _codes, _document, _library, _sr, _text, _uids
from node.results._codes import Code

EVERY_EXAM = True
_SERIES_NUMBER = 9001
_INTENTS = {"required": _codes.PRESENTATION_REQUIRED, "optional": _codes.PRESENTATION_OPTIONAL}


class OPTIONS(BaseModel):
    """Options of the CAD report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rendering_intent: Literal["required", "optional"] = Field(
        default="required", description="Whether a workstation is expected to show the marks, or may (CID 6034)."
    )
    detections: tuple[FindingType, ...] = Field(
        default=(FindingType.SOFT_TISSUE, FindingType.CALCIFICATION_CLUSTER),
        description="Finding types the model looks for, stated also where it found none (CID 6014).",
    )


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The report as Mammography CAD SR. Raises InvalidResult when the reading's regions do not fit its images."""
    dataset = _document.new_document(report, "mammography_cad_sr", options, MammographyCADSRStorage)
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = "AI triage CAD marks"
    library = [_library.entry(s, _codes.BREASTS, with_matrix_size=False) for s in _document.images(report)]
    children = [
        _sr.language(),
        _sr.container(_codes.IMAGE_LIBRARY, library),
        _overall_impression(report, options),
        _detections(report, options),
        _analyses(report),
    ]
    return {"": _document.finish(dataset, report, _sr.container(_codes.CAD_REPORT, children), "4000")}


def _positions(report: Report) -> dict[str, tuple[int, int, int]]:
    """SOP Instance UID → the library entry's content item identifier."""
    return {str(s.SOPInstanceUID): (1, 2, index) for index, s in enumerate(_document.images(report), start=1)}


def _overall_impression(report: Report, options: OPTIONS) -> Dataset:
    """TID 4001: the exam's result in words, its score, and an impression per lesion."""
    reading = report.reading
    children = [_sr.text(_codes.IMPRESSION_DESCRIPTION, _text.impression(report), "HAS PROPERTIES")]
    if reading.score is not None:
        score = _text.percent(reading.score)
        children.append(_sr.num(_codes.CERTAINTY_OF_IMPRESSION, score, _codes.PERCENT, "HAS PROPERTIES"))
    children += _sr.reader_items(report)
    lesions = sorted({finding.lesion for finding in reading.findings})
    children += [_impression(report, lesion, _INTENTS[options.rendering_intent]) for lesion in lesions]
    return _sr.add(_sr.code(_codes.FINDINGS_SUMMARY, _document.summary(reading)), children)


def _impression(report: Report, lesion: int, intent: Code) -> Dataset:
    """TID 4003 Individual Impression/Recommendation: one lesion, as a composite where CC and MLO show it."""
    numbered = [(n, mark) for n, mark in enumerate(report.reading.findings, start=1) if mark.lesion == lesion]
    findings = [_finding(report, mark, number, intent) for number, mark in numbered]
    if _is_seen_twice([mark for _, mark in numbered]):
        findings = [_composite(report, numbered[0][1], findings, intent)]
    rendering = _sr.code(_codes.RENDERING_INTENT, intent, "HAS CONCEPT MOD")
    return _sr.container(_codes.INDIVIDUAL_IMPRESSION, [rendering, *findings], relationship="INFERRED FROM")


def _is_seen_twice(marks: Sequence[Finding]) -> bool:
    """Whether the marks are two of one kind, on two images of one breast: TID 4004 relates two things."""
    return len(marks) == 2 and all(
        len(values) == count
        for values, count in (
            ({mark.region.sop_instance_uid for mark in marks}, 2),
            ({mark.image_laterality for mark in marks}, 1),
            ({mark.finding_type for mark in marks}, 1),
        )
    )


def _composite(report: Report, finding: Finding, parts: Sequence[Dataset], intent: Code) -> Dataset:
    """TID 4004 with TID 4005. It has no certainty of its own: the reading gives one for each mark, none for both."""
    properties = "HAS PROPERTIES"
    children = [
        _sr.code(_codes.RENDERING_INTENT, intent, "HAS CONCEPT MOD"),
        *_sr.tracking(f"Lesion {finding.lesion}", _uids.tracking_uid(report, "lesion", str(finding.lesion))),
        _sr.code(_codes.COMPOSITE_TYPE, _codes.RELATED_SPATIALLY, properties),
        _sr.code(_codes.SCOPE_OF_FEATURE, _codes.ON_MULTIPLE_IMAGES, properties),
        *_sr.algorithm_items(report.reading.algorithm),
        *parts,
    ]
    for part in parts:
        part.RelationshipType = "INFERRED FROM"
    return _sr.add(_sr.code(_codes.COMPOSITE_FEATURE, _codes.FINDING_TYPES[finding.finding_type]), children)


def _finding(report: Report, finding: Finding, number: int, intent: Code) -> Dataset:
    """TID 4006 Single Image Finding with center and outline."""
    algorithm = report.reading.algorithm
    region = finding.region
    value = _text.percent(finding.probability)
    children = [
        _sr.code(_codes.RENDERING_INTENT, intent, "HAS CONCEPT MOD"),
        *_sr.tracking(*_document.lesion_tracking(report, finding, number)),
        *_sr.algorithm_items(algorithm),
        _sr.num(_codes.CERTAINTY_OF_FINDING, value, _codes.PERCENT, "HAS PROPERTIES"),
    ]
    if finding.finding_type is FindingType.SUSPICIOUS_REGION:  # TID 4013: it says why, and has no probability of cancer
        children.append(_sr.text(_codes.SELECTED_REGION_DESCRIPTION, _text.SELECTED_REGION, "HAS PROPERTIES"))
    elif algorithm.calibrated:
        children.append(_sr.num(_codes.PROBABILITY_OF_CANCER, value, _codes.PERCENT, "HAS PROPERTIES"))
    selected = _positions(report)[region.sop_instance_uid]
    for concept, graphic_type, points in (
        (_codes.CENTER, "POINT", [region.center]),
        (_codes.OUTLINE, "POLYLINE", _sr.box(region)),
    ):
        mark = _sr.scoord(concept, graphic_type, points, "HAS PROPERTIES")
        children.append(_sr.add(mark, [_sr.by_reference(selected, "SELECTED FROM")]))
    return _sr.add(_sr.code(_codes.SINGLE_IMAGE_FINDING, _codes.FINDING_TYPES[finding.finding_type]), children)


def _detections(report: Report, options: OPTIONS) -> Dataset:
    """TID 4015: which findings were looked for, by what, on which images; what failed, on which."""
    types = dict.fromkeys([*options.detections, *(finding.finding_type for finding in report.reading.findings)])
    performed = [(_codes.FINDING_TYPES[finding_type], _sr.reader_items(report)) for finding_type in types]
    groups = (_codes.SUCCESSFUL_DETECTIONS, _codes.FAILED_DETECTIONS)
    return _summary(report, _codes.SUMMARY_OF_DETECTIONS, groups, _codes.DETECTION_PERFORMED, performed)


def _analyses(report: Report) -> Dataset:
    """TID 4016: the exam's overall impression, and the breast composition with its own algorithm."""
    performed = [(_codes.OVERALL_IMPRESSION_ANALYSIS, _sr.reader_items(report))]
    composition = report.reading.composition
    if composition is not None and report.reading.category is not Category.NOT_READ:
        algorithm = _sr.algorithm_items(composition.algorithm, composition.algorithm.parameters)
        performed.append((_codes.COMPOSITION_ANALYSIS, algorithm))
    groups = (_codes.SUCCESSFUL_ANALYSES, _codes.FAILED_ANALYSES)
    return _summary(report, _codes.SUMMARY_OF_ANALYSES, groups, _codes.ANALYSIS_PERFORMED, performed)


def _summary(
    report: Report,
    concept: Code,
    groups: tuple[Code, Code],
    performed: Code,
    tasks: Sequence[tuple[Code, Sequence[Dataset]]],
) -> Dataset:
    """A status, and beneath it each task (what, by which algorithm) with the images it succeeded or failed on."""
    status = _status(report)
    read, unread = [image.sop_instance_uid for image in report.reading.inputs], _unread(report)
    succeeded, failed = groups
    containers = []
    if status in (_codes.SUCCEEDED, _codes.PARTIALLY_SUCCEEDED):
        items = [_performed(report, _sr.code(performed, what), algorithm, read) for what, algorithm in tasks]
        containers.append(_sr.container(succeeded, items, relationship="INFERRED FROM"))
    if status in (_codes.FAILED, _codes.PARTIALLY_SUCCEEDED):
        items = [_performed(report, _sr.code(performed, what), algorithm, unread) for what, algorithm in tasks]
        containers.append(_sr.container(failed, items, relationship="INFERRED FROM"))
    return _sr.add(_sr.code(concept, status), containers)


def _performed(report: Report, what: Dataset, algorithm: Sequence[Dataset], uids: Sequence[str]) -> Dataset:
    """TID 4017, 4018: a detection or analysis with its algorithm, and its images by reference."""
    positions = _positions(report)
    images = [_sr.by_reference(positions[uid], "HAS PROPERTIES") for uid in uids]
    return _sr.add(what, [*copy.deepcopy(list(algorithm)), *images])


def _unread(report: Report) -> list[str]:
    """Images that the algorithms ought to have read and did not; not repeats and raw images of a view that was read."""
    reading = report.reading
    if reading.category is Category.NOT_READ:
        left_out = {reason.sop_instance_uid for reason in reading.left_out}
        return [uid for uid in _positions(report) if uid not in left_out]
    read = {image.standard_view for image in reading.inputs}
    views = _sr.views_of(_document.images(report))
    return [uid for uid, view in views.items() if view.standard_view and view.standard_view not in read]


def _status(report: Report) -> Code:
    """CID 6042. What failed must be listed, so where there is no image to list nothing was attempted."""
    if report.reading.category is Category.NOT_READ:
        failed = _document.was_tried(report.reading) and _unread(report)
        return _codes.FAILED if failed else _codes.NOT_ATTEMPTED
    return _codes.PARTIALLY_SUCCEEDED if _unread(report) else _codes.SUCCEEDED
