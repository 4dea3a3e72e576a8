"""The picture of an overlay: the mammogram as it is stored, marks and heat on it, and what must be known of it around.

Nothing but marks and their numbers stands on the image itself: a band above it says whose it is and what was found, a
band below by what and how far to trust it.
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import StandardView, View
from ai.findings import Finding
from node.results import Report, _canvas, _card, _card_plate, _text
from node.results._canvas import Box, Colour
from node.results._card_marks import draw_marks

_TOP, _BOTTOM = 132, 136
_MARGIN = 22
_MARKS = _canvas.AMBER
_HEAT = [0] * 40 + [min(115, (level - 40) * 115 // 180) for level in range(40, 256)]  # heat 0–255 → opacity
_NOT_DIAGNOSTIC = "Scaled preview, not the diagnostic image"


def sentences(report: Report, source: Dataset, view: StandardView) -> list[str]:
    """What the picture says, in words."""
    said = [f"AI triage: {_text.within_a_line(report.reading.category)}, {view}", _found(report, source)]
    said += [f"{missing} not read by AI" for missing in _not_read(report)]
    return [*said, _NOT_DIAGNOSTIC, *filter(None, [report.reading.algorithm.labelling.rstrip(".")])]


def render(report: Report, source: Dataset, view: StandardView, longer_side: int, *, heat: bool) -> Image.Image:
    """The picture in RGB. longer_side: of the mammogram in it, in pixels; the bands come on top."""
    header = View.from_dataset(source)
    scale = longer_side / max(header.rows, header.columns)
    size = max(1, round(header.columns * scale)), max(1, round(header.rows * scale))
    picture = Image.new("RGB", (size[0], size[1] + _TOP + _BOTTOM), _canvas.BACKGROUND)
    picture.paste(_mammogram(report, header, size, heat=heat), (0, _TOP))
    area = (0.0, float(_TOP), float(size[0]), float(_TOP + size[1]))
    marks = [(finding, _box(finding, scale)) for finding in _findings(report, source)]
    draw_marks(picture, area, marks, _MARKS)
    _band_above(picture, report, source, view)
    _band_below(picture, report)
    return picture


def _findings(report: Report, source: Dataset) -> list[Finding]:
    return [f for f in report.reading.findings if f.region.sop_instance_uid == str(source.SOPInstanceUID)]


def _box(finding: Finding, scale: float) -> Box:
    region = finding.region
    return region.left * scale, region.top * scale + _TOP, region.right * scale, region.bottom * scale + _TOP


def _mammogram(report: Report, header: View, size: tuple[int, int], *, heat: bool) -> Image.Image:
    uid = header.sop_instance_uid
    preview = report.previews.get(uid)
    if preview is None:
        return _outline(report, header, size)
    grey = Image.open(io.BytesIO(preview)).convert("L").resize(size, Image.Resampling.LANCZOS)
    picture = Image.merge("RGB", (grey, grey, grey))
    for each in report.reading.heat_maps if heat else ():
        if each.sop_instance_uid == uid:
            grid = Image.frombytes("L", (each.columns, each.rows), each.values)
            mask = grid.resize(size, Image.Resampling.BICUBIC).point(_HEAT)
            picture.paste(_MARKS, (0, 0), mask)
    return picture


def _outline(report: Report, header: View, size: tuple[int, int]) -> Image.Image:
    """Where there is no preview: the breast as a plain shape, and the words that it is none."""
    picture = Image.new("RGB", size, (0, 0, 0))
    draw = ImageDraw.Draw(picture)
    for assessment in report.reading.views:
        if assessment.sop_instance_uid == header.sop_instance_uid and len(assessment.breast_outline) > 2:
            scale = size[0] / header.columns
            draw.polygon([(x * scale, y * scale) for x, y in assessment.breast_outline], fill=_canvas.RAISED)
    font = _canvas.font(44, "Semibold")
    draw.text((size[0] / 2, size[1] - 60), "no picture of this image", font=font, fill=_canvas.MUTED, anchor="mm")
    return picture


def _found(report: Report, source: Dataset) -> str:
    count = len(_findings(report, source))
    return f"{count} region{'s' if count > 1 else ''} marked on this view" if count else "No region marked on this view"


def _not_read(report: Report) -> list[str]:
    unread = _text.unread_views(report.reading)
    return [_text.missing_part(unread)] if unread else []


def _band_above(picture: Image.Image, report: Report, source: Dataset, view: StandardView) -> None:
    reading = report.reading
    scores = [each.probability for each in reading.views if each.sop_instance_uid == str(source.SOPInstanceUID)]
    score = f"score {_text.percent(scores[0])} %" if scores else ""
    category = f"AI {_text.within_a_line(reading.category)}, band {reading.band}/10"
    space = picture.width - 2 * _MARGIN
    name = f"{view}   {score}"
    _row(picture, 38, (name, 46, _canvas.TEXT), (category, 38, _card_plate.COLOURS[reading.category]))
    found, missing = _found(report, source), _not_read(report)
    told = (f"{missing[0]} not read by AI", 30, _canvas.MAGENTA) if missing else (found, 28, _canvas.MUTED)
    whose = _canvas.shortened(_whose(source), 28, space - _canvas.width(told[0], told[1], "Semibold") - 30)
    _row(picture, 98, (whose, 28, _canvas.MUTED), told)


def _whose(source: Dataset) -> str:
    facts = (
        _card.patient_name(elements.text(source, "PatientName")),
        elements.text(source, "PatientID"),
        _text.date(elements.date(source, "StudyDate")),
    )
    return "   ".join(fact for fact in facts if fact)


def _band_below(picture: Image.Image, report: Report) -> None:
    """The labelling over the whole width, then what the picture is and what made it."""
    reading, high = report.reading, picture.height
    space = picture.width - 2 * _MARGIN
    size, words = _labelling(reading.algorithm.labelling, space)
    nothing = ("", 28, _canvas.MUTED)
    for number, line in enumerate(words):
        middle = high - _BOTTOM + 44 + (number - (len(words) - 1) / 2) * (size + 4)
        _row(picture, middle, (line, size, _canvas.WARNING), nothing)
    made = f"{reading.algorithm.name} {reading.algorithm.version} · {reading.started_at:%Y-%m-%d %H:%M}"
    made += f" · revision {reading.revision}" if reading.revision > 1 else ""
    rest = space - _canvas.width(_NOT_DIAGNOSTIC, 26, "Semibold") - 30
    size = _canvas.fitting_size(made, 26, rest, "Semibold", smallest=16)
    made = _canvas.shortened(made, size, rest, "Semibold")
    _row(picture, high - 32, (_NOT_DIAGNOSTIC, 26, _canvas.MUTED), (made, size, _canvas.MUTED))


def _labelling(text: str, space: float) -> tuple[int, list[str]]:
    """Text size and lines: the largest at which the labelling is whole on two lines."""
    for size in (36, 32, 28, 24, 20):
        words = _canvas.lines(text, size, space, "Semibold")
        if len(words) <= 2:
            return size, words
    return 16, _canvas.lines(text, 16, space, "Semibold")


def _row(picture: Image.Image, middle: float, left: tuple[str, int, Colour], right: tuple[str, int, Colour]) -> None:
    """One line of a band. left, right: text, size and colour at either side."""
    draw = ImageDraw.Draw(picture)
    for (text, size, colour), x, anchor in ((left, _MARGIN, "lm"), (right, picture.width - _MARGIN, "rm")):
        draw.text((x, middle), text, font=_canvas.font(size, "Semibold"), fill=colour, anchor=anchor)
