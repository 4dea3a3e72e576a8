"""Measurement report (TID 1500): what general viewers display, with the regions drawn on the mammograms.

The first measurement group is the exam: its score is inferred from the breast outlines, so that a viewer which
draws nothing without a region still shows the result (and, with no marks, a negative or an unread exam). The
outline is not a finding. Each marked region is a group of its own; only such a group has a Finding (121071).

A common viewer opens a report on the image of its first group and draws the marks of that image alone. For it there
can be a report per image that was read: the same result, with the regions and scores of that view. An exam that was
not read has no view to speak of and gets one report all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from ai.exam import View
from ai.findings import Category, Finding, Reading, Region, ViewAssessment
from ai.reasons import Reason
from node.results import Report, _codes, _document, _library, _sr, _text, _uids
from node.results._assertions import require_complete
from node.results._codes import Code

EVERY_EXAM = True
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
    per: Literal["exam", "image"] = Field(
        default="exam",
        description="One report for the exam, or one for each image that was read: some viewers show the marks of one "
        "image of a report only.",
    )


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The report as TID 1500; per image: view, as "L CC" → its report.

    Raises InvalidResult when the reading's regions do not fit its images.
    """
    if options.per == "exam" or report.reading.category is Category.NOT_READ:
        return {"": _document_of(report, options)}
    require_complete(report.reading, report.sources)
    made = {}
    for number, image in enumerate(report.reading.inputs, start=1):
        part = str(image.standard_view)
        made[part] = _document_of(report, options, part, image.sop_instance_uid)
        made[part].InstanceNumber = number
    return made


def _document_of(report: Report, options: OPTIONS, part: str = "", focus: str = "") -> Dataset:
    """One report. focus: SOP Instance UID of the image it is about, "" for the whole exam."""
    dataset = _document.new_document(report, "measurement_sr", options, _SOP_CLASSES[options.sop_class], part)
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = f"AI triage measurements{f', {part}' if part else ''}"
    # a series each: of several reports in one series OHIF shows one and hides the others
    dataset.SeriesInstanceUID = _uids.series_instance_uid(report, "measurement_sr", options, part)
    unread = report.reading.category is Category.NOT_READ
    exam = _unread_exam(report) if unread else _read_exam(report, focus)
    findings = _findings(report, focus)
    lesions = [_lesion(report, finding, number) for number, finding in findings.items()]
    groups = [exam, *lesions, *_companion(report, list(findings.values()), focus)]
    children = [
        _sr.language(),
        *_sr.device_observer(report),
        _sr.code(_codes.PROCEDURE_REPORTED, _codes.IMAGING_PROCEDURE, "HAS CONCEPT MOD"),
        _image_library(report),
        _sr.container(_codes.IMAGING_MEASUREMENTS, groups),
        _sr.container(_codes.QUALITATIVE_EVALUATIONS, _evaluations(report)),
    ]
    return _document.finish(dataset, report, _sr.container(_codes.MEASUREMENT_REPORT, children), "1500")


def _findings(report: Report, focus: str) -> dict[int, Finding]:
    """Number in the reading, from 1 → finding, those on the image `focus` or all."""
    numbered = enumerate(report.reading.findings, start=1)
    return {number: finding for number, finding in numbered if focus in ("", finding.region.sop_instance_uid)}


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


def _read_exam(report: Report, focus: str) -> Dataset:
    """The exam's scores: its own, its breasts', its views'; of the image `focus` only those it has a part in."""
    reading, sources = report.reading, _by_uid(report)
    concept = _codes.exam_score(reading.algorithm)
    views = [view for view in reading.views if focus in ("", view.sop_instance_uid)]
    by_suspicion = sorted(views, key=lambda view: -view.probability)
    exam = _percentage(concept, reading.score or 0, _codes.BILATERAL)
    outlines = _outlines(sources, by_suspicion, focus)
    first = by_suspicion[0].sop_instance_uid if by_suspicion else focus or next(iter(sources))
    measurements = [_sr.add(exam, (_inferred_from_region(source, points) for source, points in outlines))]
    for breast in reading.breasts:
        images = [
            v.sop_instance_uid for v in by_suspicion if v.standard_view.image_laterality is breast.image_laterality
        ]
        if images or not focus:
            side = _codes.SIDES[breast.image_laterality]
            measurements.append(_from_images(_percentage(concept, breast.probability, side), report, images))
    for view in views:
        side = _codes.SIDES[view.standard_view.image_laterality]
        measurements.append(_from_images(_percentage(concept, view.probability, side), report, [view.sop_instance_uid]))
    for number_concept, value in ((_codes.BAND, f"{reading.band}"), (_codes.PERCENTILE, _text.percentile(reading))):
        number = _sr.add(_sr.num(number_concept, value, _codes.NO_UNITS), [_site(_codes.BILATERAL)])
        measurements.append(_from_images(number, report, [first]))
    lines = _text.view_comment_lines(reading, focus) if focus else _text.comment_lines(reading)
    return _exam_group(report, measurements, lines)


def _outlines(
    sources: Mapping[str, Dataset], views: Sequence[ViewAssessment], focus: str
) -> list[tuple[Dataset, list[_sr.Point]]]:
    """The breast's outline on each view; without any, the frames of the images."""
    outlines = [
        (sources[view.sop_instance_uid], _sr.closed(view.breast_outline))
        for view in views
        if len(view.breast_outline) > 2
    ]
    shown = [source for uid, source in sources.items() if focus in ("", uid)]
    return outlines or [(source, frame) for source in shown if (frame := _frame(source))]


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


def _companion(report: Report, findings: Sequence[Finding], focus: str) -> list[Dataset]:
    """Beside a single lesion: the breast on another view as a region too, with that view's score and no finding.

    DicomSRValidator, where it counts exactly one region in all groups, takes the exam for a region without one.
    """
    reading = report.reading
    views = [v for v in reading.views if len(v.breast_outline) > 2 and focus in ("", v.sop_instance_uid)]
    if len(findings) != 1 or not views:
        return []
    view = max(views, key=lambda other: _unlike(findings[0], other))
    name = f"Breast, {view.standard_view}"
    return [
        _group(
            "1410",
            [
                *_sr.tracking(name, _uids.tracking_uid(report, "view", view.sop_instance_uid)),
                _site(_codes.SIDES[view.standard_view.image_laterality]),
                _region(_by_uid(report)[view.sop_instance_uid], _sr.closed(view.breast_outline)),
                *_sr.algorithm_items(reading.algorithm, relationship="HAS CONCEPT MOD"),
                _sr.num(_codes.exam_score(reading.algorithm), _text.percent(view.probability), _codes.PERCENT),
            ],
        )
    ]


def _unlike(finding: Finding, view: ViewAssessment) -> tuple[bool, bool]:
    """Best is another view, of the same breast."""
    return (
        view.sop_instance_uid != finding.region.sop_instance_uid,
        view.standard_view.image_laterality is finding.image_laterality,
    )


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
