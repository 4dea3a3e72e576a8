"""The card's right side: the answer large, and beneath it sections of what it rests on, as far as there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from PIL import Image, ImageDraw

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.findings import BreastComposition, Finding, Reading
from node.results import Report, _canvas, _text
from node.results._canvas import Box, Colour
from node.results._card_closer import draw_closer
from node.results._card_marks import draw_shape
from node.results._card_pen import HEADING, Pen
from node.results._card_plate import COLOURS, draw_band, draw_category, draw_not_read
from node.results._card_shown import Shown

_LINE = 46  # of a finding
_CELL = 84  # of the change since the prior
_THEN_NOW = " → "
_OTHERWISE = ("prior read", "bands by")  # how lines begin that say why the numbers may not compare
_MORE = "see the structured report"


def draw_read(card: Image.Image, box: Box, report: Report, shown: Mapping[StandardView, Shown]) -> None:
    """The answer for an exam that was read."""
    pen, reading = Pen(card, box), report.reading
    draw_category(pen, reading)
    draw_band(pen, reading)
    _scores(pen, report)
    _change(pen, report)
    below = _read_lines(reading)
    _findings(pen, reading, box[3] - _height_below(reading, len(below)))
    _composition(pen, reading)
    pen.heading("Read")
    for index, (line, tone) in enumerate(below):
        if not pen.room(110) and index + 1 < len(below):
            pen.line(f"and {len(below) - index} more: {_MORE}", 30, tone)
            break
        pen.paragraph(line, 36 if index == 0 else 30, tone)
    draw_closer(pen, report, shown)


def draw_unread(card: Image.Image, box: Box, report: Report) -> None:
    """What stands instead of an answer: that there is none, and why."""
    pen, reading = Pen(card, box), report.reading
    draw_not_read(pen)
    pen.paragraph(_text.NOT_READ_WARNING, 42, _canvas.TEXT, "Semibold")
    pen.heading("Why")
    _bullets(pen, _text.counted(reading.reasons), 42, _canvas.MAGENTA)
    if reading.left_out and pen.room(160):
        pen.heading("Images left out")
        _bullets(pen, _text.counted(reading.left_out), 32, _canvas.MUTED)
    if pen.room(HEADING + 90):
        _composition(pen, reading)
    if pen.room(HEADING + _CELL):
        _change(pen, report)


def _bullets(pen: Pen, texts: Sequence[str], size: int, colour: Colour) -> None:
    """Each text with a bar before it; the last line says how many did not fit."""
    for index, text in enumerate(texts):
        said = _canvas.lines(text[0].upper() + text[1:], size, pen.space - 30)
        if not pen.room(len(said) * 1.28 * size + (70 if index + 1 < len(texts) else 0)):
            pen.line(f"and {len(texts) - index} more: {_MORE}", 34, colour, "Semibold")
            return
        start = pen.y
        for line in said:
            pen.line(line, size, _canvas.TEXT, indent=30)
        pen.draw.rectangle((pen.box[0], start + 8, pen.box[0] + 9, pen.y - 6), fill=colour)
        pen.y += 14


def _scores(pen: Pen, report: Report) -> None:
    """A bar per breast, 0–100; a tick where the prior's score was."""
    reading = report.reading
    pen.heading("Probability of cancer, %" if reading.algorithm.calibrated else "Score 0–100, not a probability")
    scores = _text.breast_scores(reading)
    before = _text.prior_scores(report)
    for side in ImageLaterality:
        bar = (pen.box[0] + 130, pen.y + 12, pen.box[2] - 140, pen.y + 44)
        if side in scores:
            _bar(pen, bar, scores[side], before.get(side), COLOURS[reading.category])
            pen.right(_text.percent(scores[side]), 48, _canvas.TEXT, "Semibold")
        else:
            _canvas.hatch(pen.card, bar, _canvas.blended(_canvas.MAGENTA, 0.6), step=30, thickness=8)
            pen.right("not read", 36, _canvas.MAGENTA, "Semibold")
        pen.line(_text.SIDES[side].capitalize(), 42, _canvas.TEXT)
        pen.y += 4


def _bar(pen: Pen, bar: Box, score: float, before: float | None, colour: Colour) -> None:
    left, top, right, bottom = bar
    pen.draw.rounded_rectangle(bar, 6, fill=_canvas.RAISED)
    pen.draw.rounded_rectangle((left, top, left + max(8, score * (right - left)), bottom), 6, fill=colour)
    if before is not None:
        tick = left + before * (right - left)
        pen.draw.rectangle((tick - 5, top - 9, tick + 5, bottom + 9), fill=_canvas.BACKGROUND)
        pen.draw.rectangle((tick - 2, top - 7, tick + 2, bottom + 7), fill=_canvas.TEXT)


def _change(pen: Pen, report: Report) -> None:
    """Then → now in cells, in the report's own words; what stands in the way of comparing them beneath."""
    lines = _text.change_lines(report)
    if not lines:
        return
    pen.heading(lines[0].rstrip(":") if len(lines) > 1 else "Prior exam")
    changes = [line for line in lines[1:] if _THEN_NOW in line]
    wide = (pen.space - 2 * 12) / 3
    for index, line in enumerate(changes):
        _change_cell(pen, pen.box[0] + index * (wide + 12), wide, line)
    pen.y += _CELL if changes else 0
    for line in lines if len(lines) == 1 else [line for line in lines[1:] if _THEN_NOW not in line]:
        tone = _canvas.WARNING if line.startswith(_OTHERWISE) else _canvas.TEXT
        pen.paragraph(line[0].upper() + line[1:], 32, tone, "Semibold")


def _change_cell(pen: Pen, left: float, wide: float, line: str) -> None:
    """line: as "right 2.1 → 3.4 %" or "band 3 → 4"."""
    name, change = line.split(" ", maxsplit=1)
    box = (left, pen.y, left + wide, pen.y + _CELL - 8)
    pen.draw.rounded_rectangle(box, 8, fill=_canvas.RAISED)
    pen.draw.text((left + 14, pen.y + 8), name.capitalize(), font=_canvas.font(26), fill=_canvas.MUTED, anchor="la")
    font = _canvas.font(_canvas.fitting_size(change, 36, wide - 28, "Semibold"), "Semibold")
    pen.draw.text((left + 14, pen.y + _CELL - 18), change, font=font, fill=_canvas.TEXT, anchor="ls")


def _height_below(reading: Reading, read_lines: int) -> float:
    """Room that the sections below the findings will take."""
    composition = HEADING + 50 + 34 if reading.composition else 0
    return composition + HEADING + 46 + 76 * min(3, read_lines - 1)


def _findings(pen: Pen, reading: Reading, bottom: float) -> None:
    """One line per lesion: its mark's shape, number, side and type, and the score on each view."""
    pen.heading("Findings")
    ordered = sorted(reading.findings, key=_lesion)
    lesions = [list(findings) for _, findings in groupby(ordered, key=_lesion)]
    if not lesions:
        pen.line("No region marked", 36, _canvas.TEXT)
    for index, findings in enumerate(lesions):
        last = index + 1 == len(lesions)
        if pen.y + (_LINE if last else 2 * _LINE) > bottom and index:
            pen.line(f"and {len(lesions) - index} more: {_MORE}", 32, _canvas.TEXT)
            return
        _finding_line(pen, findings, reading)


def _lesion(finding: Finding) -> tuple[int, ImageLaterality]:
    return finding.lesion, finding.image_laterality


def _finding_line(pen: Pen, findings: Sequence[Finding], reading: Reading) -> None:
    best = max(findings, key=lambda finding: finding.probability)
    mask = Image.new("L", (96, 96))
    draw_shape(ImageDraw.Draw(mask), best.finding_type, (6, 6, 90, 90), 12)
    pen.card.paste(_canvas.AMBER, (round(pen.box[0]), round(pen.y) + 8), mask.resize((32, 32), Image.Resampling.BOX))
    views = {image.sop_instance_uid: image.standard_view for image in reading.inputs}
    scores: dict[ViewPosition, float] = {}
    for finding in findings:
        position = views[finding.region.sop_instance_uid].view_position
        scores[position] = max(finding.probability, scores.get(position, 0.0))
    said = " · ".join(
        f"{position} {_text.percent(scores[position])}" for position in ViewPosition if position in scores
    )
    pen.right(said, 36, _canvas.TEXT)
    what = f"{best.lesion}  {_text.SIDES[best.image_laterality]}, {_text.FINDING_TYPES[best.finding_type]}"
    space = pen.space - 46 - _canvas.width(said, 36) - 20
    size = _canvas.fitting_size(what, 36, space)
    pen.draw.text((pen.box[0] + 46, pen.y), what, font=_canvas.font(size), fill=_canvas.TEXT, anchor="la")
    pen.y += _LINE


def _composition(pen: Pen, reading: Reading) -> None:
    """The four letters with hers filled, and in words; whose answer it is."""
    if reading.composition is None:
        return
    pen.heading("Breast composition")
    for index, each in enumerate(BreastComposition):
        left = pen.box[0] + index * 50
        here = each is reading.composition.composition
        box = (left, pen.y, left + 44, pen.y + 44)
        pen.draw.rounded_rectangle(box, 6, fill=_canvas.TEXT if here else _canvas.RAISED)
        font = _canvas.font(34 if here else 28, "Bold" if here else "Regular")
        ink = _canvas.BACKGROUND if here else _canvas.MUTED
        pen.draw.text((left + 22, pen.y + 22), str(each), font=font, fill=ink, anchor="mm")
    pen.line(_text.COMPOSITIONS[reading.composition.composition], 36, _canvas.TEXT, indent=216)
    pen.y += 4
    pen.line(f"by {_text.composition_reader(reading)}", 26, _canvas.MUTED)


def _read_lines(reading: Reading) -> list[tuple[str, Colour]]:
    lines: list[tuple[str, Colour]] = [(_text.views_line(reading), _canvas.TEXT)]
    return lines + [(f"Left out: {text}", _canvas.MUTED) for text in _text.counted(reading.left_out)]
