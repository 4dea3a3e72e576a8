"""Measurement report (TID 1500): what general viewers display, with the regions drawn on the mammograms.

The first measurement group is the exam: its score is inferred from the breast outlines, so that a viewer which
draws nothing without a region still shows the result (and, with no marks, a negative or an unread exam). The
outline is not a finding. Each marked region is a group of its own; only such a group has a Finding (121071).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from ai.exam import View
from ai.findings import Category, Finding, Reading, Region
from ai.reasons import Reason
from node.results import Report, _codes, _document, _library, _sr, _text, _uids
from node.results._codes import Code

_SERIES_NUMBER = 9002
_SOP_CLASSES: dict[str, UID] = {
    "comprehensive_3d": Comprehensive3DSRStorage,
    "comprehensive": ComprehensiveSRStorage,
    "enhanced": EnhancedSRStorage,
}


class OPTIONS(BaseModel):
    """Options of the measurement report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sop_class: Literal["comprehensive_3d", "comprehensive", "enhanced"] = Field(
        default="comprehensive_3d",
        description="SOP class of the report; older viewers and archives may take only comprehensive or enhanced.",
    )


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The report as TID 1500. Raises InvalidResult when the reading's regions do not fit its images."""
    dataset = _document.new_document(report, "measurement_sr", options, _SOP_CLASSES[options.sop_class])
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = "AI triage measurements"
    exam = _unread_exam if report.reading.category is Category.NOT_READ else _read_exam
    findings = enumerate(report.reading.findings, start=1)
    groups = [exam(report), *(_lesion(report, finding, number) for number, finding in findings), *_companion(report)]
    children = [
        _sr.language(),
        *_sr.device_observer(report),
        _sr.code(_codes.PROCEDURE_REPORTED, _codes.IMAGING_PROCEDURE, "HAS CONCEPT MOD"),
        _image_library(report),
        _sr.container(_codes.IMAGING_MEASUREMENTS, groups),
        _sr.container(_codes.QUALITATIVE_EVALUATIONS, _evaluations(report)),
    ]
    return {"": _document.finish(dataset, report, _sr.container(_codes.MEASUREMENT_REPORT, children), "1500")}


def _image_library(report: Report) -> Dataset:
    """TID 1600 with one group."""
    entries = [_library.entry(s, _codes.SIDES, with_matrix_size=True) for s in _document.images(report)]
    group = [_sr.container(_codes.IMAGE_LIBRARY_GROUP, entries)] if entries else []
    return _sr.container(_codes.IMAGE_LIBRARY, group)


def _group(template: str, children: Iterable[Dataset]) -> Dataset:
    group = _sr.container(_codes.MEASUREMENT_GROUP, children)
    group.ContentTemplateSequence = [_document.template_item(template)]
    return group


def _site(laterality: Code) -> Dataset:
    """Finding Site: breast, with its side."""
    site = _sr.code(_codes.FINDING_SITE, _codes.BREAST, "HAS CONCEPT MOD")
    return _sr.add(site, [_sr.code(_codes.LATERALITY, laterality, "HAS CONCEPT MOD")])


def _exam_group(report: Report, measurements: Sequence[Dataset], comments: Sequence[str]) -> Dataset:
    """TID 1501: the exam as one thing, its algorithm, its numbers, and the lines a viewer draws beside it."""
    return _group(
        "1501",
        [
            *_sr.tracking("Exam", _uids.tracking_uid(report, "exam")),
            _site(_codes.BILATERAL),
            *_sr.reader_items(report, "HAS CONCEPT MOD"),
            *measurements,
            *(_sr.text(_codes.COMMENT, line) for line in comments),
        ],
    )


def _read_exam(report: Report) -> Dataset:
    reading, sources = report.reading, _by_uid(report)
    concept = _codes.exam_score(reading.algorithm)
    by_suspicion = sorted(reading.views, key=lambda view: -view.probability)
    outlines = [
        (sources[view.sop_instance_uid], _sr.closed(view.breast_outline))
        for view in by_suspicion
        if len(view.breast_outline) > 2
    ] or [(source, frame) for source in sources.values() if (frame := _frame(source))]
    exam = _percentage(concept, reading.score or 0, _codes.BILATERAL)
    first = next(view.sop_instance_uid for view in by_suspicion) if by_suspicion else next(iter(sources))
    measurements = [_sr.add(exam, (_inferred_from_region(source, points) for source, points in outlines))]
    for breast in reading.breasts:
        images = [
            v.sop_instance_uid for v in by_suspicion if v.standard_view.image_laterality is breast.image_laterality
        ]
        side = _codes.SIDES[breast.image_laterality]
        measurements.append(_from_images(_percentage(concept, breast.probability, side), report, images))
    for view in reading.views:
        side = _codes.SIDES[view.standard_view.image_laterality]
        measurements.append(_from_images(_percentage(concept, view.probability, side), report, [view.sop_instance_uid]))
    for number_concept, value in ((_codes.BAND, f"{reading.band}"), (_codes.PERCENTILE, _text.percentile(reading))):
        number = _sr.add(_sr.num(number_concept, value, _codes.NO_UNITS), [_site(_codes.BILATERAL)])
        measurements.append(_from_images(number, report, [first]))
    return _exam_group(report, measurements, _text.comment_lines(reading))


def _unread_exam(report: Report) -> Dataset:
    """No score: the number of views not read, inferred from the frames of the images there are."""
    frames = [(source, points) for source in _by_uid(report).values() if (points := _frame(source))]
    count = _sr.num(_codes.VIEWS_NOT_READ, str(len(_by_uid(report))), _codes.IMAGES)
    _sr.add(count, [_site(_codes.BILATERAL), *(_inferred_from_region(source, points) for source, points in frames)])
    return _exam_group(report, [count], _text.comment_lines(report.reading))


def _by_uid(report: Report) -> dict[str, Dataset]:
    return {str(source.SOPInstanceUID): source for source in _document.images(report)}


def _frame(source: Dataset) -> list[_sr.Point]:
    """The whole image as a closed polyline; empty where the header does not tell its size."""
    view = View.from_dataset(source)
    right, bottom = float(view.columns), float(view.rows)
    return [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom), (0.0, 0.0)] if right and bottom else []


def _percentage(concept: Code, probability: float, laterality: Code) -> Dataset:
    return _sr.add(_sr.num(concept, _text.percent(probability), _codes.PERCENT), [_site(laterality)])


def _from_images(number: Dataset, report: Report, uids: Sequence[str]) -> Dataset:
    """TID 320: a measurement inferred from one image; the most suspicious where there are several."""
    sources = _by_uid(report)
    return _sr.add(number, [_sr.image(sources[uid], "INFERRED FROM", _codes.SOURCE_OF_MEASUREMENT) for uid in uids[:1]])


def _inferred_from_region(source: Dataset, points: Sequence[_sr.Point]) -> Dataset:
    region = _sr.scoord(_codes.SOURCE_OF_MEASUREMENT, "POLYLINE", points, "INFERRED FROM")
    return _sr.add(region, [_sr.image(source, "SELECTED FROM")])


def _lesion(report: Report, finding: Finding, number: int) -> Dataset:
    """TID 1410: one marked region on one view."""
    algorithm = report.reading.algorithm
    region = _region(_by_uid(report)[finding.region.sop_instance_uid], _outline(finding.region))
    score = _sr.num(_codes.finding_score(algorithm), _text.percent(finding.probability), _codes.PERCENT)
    return _group(
        "1410",
        [
            *_sr.tracking(*_document.lesion_tracking(report, finding, number)),
            _sr.code(_codes.FINDING, _codes.FINDING_TYPES[finding.finding_type]),
            _site(_codes.SIDES[finding.image_laterality]),
            region,
            *_sr.algorithm_items(algorithm, relationship="HAS CONCEPT MOD"),
            score,
        ],
    )


def _outline(region: Region) -> list[_sr.Point]:
    """The rectangle as a closed polyline of nine points, the middles of its sides among them.

    One of four or five OHIF takes for a rectangle of its own tools: it asks whether to go on measuring with it, and
    makes it movable.
    """
    corners = _sr.box(region)
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in pairwise(corners)]
    return [point for pair in zip(corners, middles, strict=False) for point in pair] + corners[-1:]


def _companion(report: Report) -> list[Dataset]:
    """Beside a single lesion: the breast on another view as a region too, with that view's score and no finding.

    DicomSRValidator, where it counts exactly one region in all groups, takes the exam for a region without one.
    """
    reading = report.reading
    if len(reading.findings) != 1:
        return []
    marked = reading.findings[0]
    others = [view for view in reading.views if len(view.breast_outline) > 2]
    if not others:
        return []
    view = max(
        others,
        key=lambda other: (
            other.sop_instance_uid != marked.region.sop_instance_uid,
            other.standard_view.image_laterality is marked.image_laterality,
        ),
    )
    concept = _codes.exam_score(reading.algorithm)
    return [
        _group(
            "1410",
            [
                *_sr.tracking(
                    f"Breast, {view.standard_view}", _uids.tracking_uid(report, "view", view.sop_instance_uid)
                ),
                _site(_codes.SIDES[view.standard_view.image_laterality]),
                _region(_by_uid(report)[view.sop_instance_uid], _sr.closed(view.breast_outline)),
                *_sr.algorithm_items(reading.algorithm, relationship="HAS CONCEPT MOD"),
                _sr.num(concept, _text.percent(view.probability), _codes.PERCENT),
            ],
        )
    ]


def _region(source: Dataset, points: Sequence[_sr.Point]) -> Dataset:
    return _sr.add(
        _sr.scoord(_codes.IMAGE_REGION, "POLYLINE", points, "CONTAINS"), [_sr.image(source, "SELECTED FROM")]
    )


def _evaluations(report: Report) -> list[Dataset]:
    """Qualitative Evaluations: category, summary, reasons, composition, and the whole result in sentences."""
    reading = report.reading
    items = [
        _sr.code(_codes.TRIAGE_CATEGORY, _codes.CATEGORIES[reading.category]),
        _sr.code(_codes.FINDINGS_SUMMARY, _document.summary(reading)),
        *_reasons(_codes.REASON, reading.reasons),
        *_reasons(_codes.REASON_LEFT_OUT, reading.left_out),
    ]
    items += _composition(reading)
    return [*items, _sr.text(_codes.COMMENT, _text.impression(report))]


def _reasons(concept: Code, reasons: Sequence[Reason]) -> list[Dataset]:
    codes = dict.fromkeys(_codes.reason_code(reason.code) for reason in reasons)
    texts = dict.fromkeys(_text.counted(reasons))
    return [*(_sr.code(concept, value) for value in codes), *(_sr.text(concept, value) for value in texts)]


def _composition(reading: Reading) -> list[Dataset]:
    """Breast composition (CID 6000), with the algorithm that says so beneath it."""
    assessment = reading.composition
    if assessment is None:
        return []
    value = _codes.COMPOSITIONS[assessment.composition]
    algorithm = _sr.algorithm_items(
        assessment.algorithm, assessment.algorithm.parameters, relationship="HAS CONCEPT MOD"
    )
    return [_sr.add(_sr.code(_codes.BREAST_COMPOSITION, value), algorithm)]
