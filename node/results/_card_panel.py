"""The card's right side: the answer large, and beneath it sections of what it rests on, as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from ai.exam import ImageLaterality, ViewPosition
from ai.findings import Category, Finding, Reading
from node.results import Report, _canvas, _text
from node.results._canvas import Box, Colour, Weight
from node.results._card_marks import draw_shape

_GAP = 26  # above a section


@dataclass(slots=True)
class _Pen:
    """Writes downwards in a column; `y` is where the next line begins."""

    card: Image.Image
    box: Box
    y: float = 0.0
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self.y = self.box[1]
        self.draw = ImageDraw.Draw(self.card)

    @property
    def space(self) -> float:
        return self.box[2] - self.box[0]

    def room(self, height: float) -> bool:
        return self.y + height <= self.box[3]

    def line(self, text: str, size: int, colour: Colour, weight: Weight = "Regular", *, indent: float = 0) -> None:
        """One line, shortened where it does not fit."""
        said = _canvas.shortened(text, size, self.space - indent, weight)
        self.draw.text((self.box[0] + indent, self.y), said, font=_canvas.font(size, weight), fill=colour, anchor="la")
        self.y += round(1.28 * size)

    def paragraph(self, text: str, size: int, colour: Colour, weight: Weight = "Regular", *, indent: float = 0) -> None:
        for said in _canvas.lines(text, size, self.space - indent, weight):
            self.line(said, size, colour, weight, indent=indent)

    def heading(self, text: str) -> None:
        self.y += _GAP
        self.line(text.upper(), 27, _canvas.MUTED, "Semibold")
        self.y += 2

    def right(self, text: str, size: int, colour: Colour, weight: Weight = "Regular") -> None:
        """At the right edge of the line that begins at `y`, which stays."""
        self.draw.text((self.box[2], self.y), text, font=_canvas.font(size, weight), fill=colour, anchor="ra")


def draw_read(card: Image.Image, box: Box, report: Report, colour: Colour) -> None:
    """The answer for an exam that was read."""
    pen, reading = _Pen(card, box), report.reading
    _category(pen, reading, colour)
    _band(pen, reading, colour)
    _scores(pen, report, colour)
    below = _read_lines(reading)
    reserved = _height_below(report, len(below))
    _findings(pen, reading, colour, box[3] - reserved)
    _change(pen, report)
    if reading.composition is not None:
        pen.heading("Breast composition")
        pen.line(_text.composition_line(reading), 36, _canvas.TEXT)
        pen.line(f"by {_text.composition_reader(reading)}", 26, _canvas.MUTED)
    pen.heading("Read")
    for index, (line, tone) in enumerate(below):
        if not pen.room(120) and index + 1 < len(below):
            pen.line("and more: see the structured report", 30, tone)
            return
        pen.paragraph(line, 36 if index == 0 else 30, tone)


def draw_unread(card: Image.Image, box: Box, report: Report, colour: Colour) -> None:
    """What stands instead of an answer: that there is none, and why."""
    pen, reading = _Pen(card, box), report.reading
    left, top, right, _ = box
    banner = (left, top, right, top + 250)
    pen.draw.rectangle(banner, fill=colour)
    _canvas.hatch(card, banner, _canvas.blended(_canvas.BACKGROUND, 0.12, colour), step=48, thickness=12)
    pen.draw.rectangle((left + 24, top + 24, right - 24, top + 226), fill=colour)
    size = _canvas.fitting_size("NOT READ", 170, pen.space - 80, "Bold")
    middle = (left + right) / 2
    pen.draw.text((middle, top + 98), "NOT READ", font=_canvas.font(size, "Bold"), fill=_canvas.BACKGROUND, anchor="mm")
    pen.draw.text((middle, top + 192), "by AI", font=_canvas.font(56, "Bold"), fill=_canvas.BACKGROUND, anchor="mm")
    pen.y = top + 276
    pen.paragraph(_text.NOT_READ_WARNING, 42, _canvas.TEXT, "Semibold")
    pen.heading("Why")
    _bullets(pen, _text.counted(reading.reasons), 42, colour)
    if reading.left_out and pen.room(160):
        pen.heading("Images left out")
        _bullets(pen, _text.counted(reading.left_out), 32, _canvas.MUTED)
    if reading.composition is not None and pen.room(130):
        pen.heading("Breast composition")
        pen.line(_text.composition_line(reading), 36, _canvas.TEXT)
    if pen.room(130):
        _change(pen, report)


def _bullets(pen: _Pen, texts: Sequence[str], size: int, colour: Colour) -> None:
    """Each text with a bar before it; the last line says how many did not fit."""
    for index, text in enumerate(texts):
        said = _canvas.lines(text[0].upper() + text[1:], size, pen.space - 30)
        if not pen.room(len(said) * 1.28 * size + (70 if index + 1 < len(texts) else 0)):
            pen.line(f"and {len(texts) - index} more: see the structured report", 34, colour, "Semibold")
            return
        start = pen.y
        for line in said:
            pen.line(line, size, _canvas.TEXT, indent=30)
        pen.draw.rectangle((pen.box[0], start + 8, pen.box[0] + 9, pen.y - 6), fill=colour)
        pen.y += 14


def _category(pen: _Pen, reading: Reading, colour: Colour) -> None:
    """The word, on a filled plate when somebody should look; the sentence with band and percentile."""
    left, top, right, _ = pen.box
    word = _text.CATEGORIES[reading.category]
    plate = (left, top, right, top + 168)
    calm = reading.category is Category.NEGATIVE
    pen.draw.rounded_rectangle(plate, 16, fill=None if calm else colour, outline=colour, width=5)
    size = _canvas.fitting_size(word, 132, pen.space - 56, "Bold")
    ink = colour if calm else _canvas.BACKGROUND
    middle = ((left + right) / 2, top + 84)
    pen.draw.text(middle, word, font=_canvas.font(size, "Bold"), fill=ink, anchor="mm")
    pen.y = top + 168 + 14
    if missing := _text.unread_views(reading):
        strip = (left, pen.y, right, pen.y + 62)
        _canvas.hatch(pen.card, strip, _canvas.blended(_canvas.MAGENTA, 0.55), step=34, thickness=9)
        words = f"{_text.missing_part(missing)} not read"
        half = _canvas.width(words, 40, "Bold") / 2 + 24
        pen.draw.rectangle((middle[0] - half, pen.y, middle[0] + half, pen.y + 62), fill=_canvas.BACKGROUND)
        at = (middle[0], pen.y + 31)
        pen.draw.text(at, words, font=_canvas.font(40, "Bold"), fill=_canvas.MAGENTA, anchor="mm")
        pen.y += 74
    pen.paragraph(_text.percentile_sentence(reading), 40, _canvas.TEXT)


def _band(pen: _Pen, reading: Reading, colour: Colour) -> None:
    """Ten boxes, a tenth of a screening population each; this exam's is filled."""
    pen.y += 14
    gap, height = 8.0, 74.0
    wide = (pen.space - 9 * gap) / 10
    for band in range(1, 11):
        left = pen.box[0] + (band - 1) * (wide + gap)
        box = (left, pen.y, left + wide, pen.y + height)
        here = band == reading.band
        pen.draw.rounded_rectangle(box, 8, fill=colour if here else _canvas.RAISED)
        ink = _canvas.BACKGROUND if here else _canvas.MUTED
        font = _canvas.font(50 if here else 30, "Bold" if here else "Regular")
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        pen.draw.text(middle, str(band), font=font, fill=ink, anchor="mm")
    pen.y += height + 8
    pen.draw.text((pen.box[0], pen.y), "lowest tenth", font=_canvas.font(26), fill=_canvas.MUTED, anchor="la")
    pen.right("highest tenth", 26, _canvas.MUTED)
    pen.y += 26


def _scores(pen: _Pen, report: Report, colour: Colour) -> None:
    """A bar per breast, 0–100 %; a tick where the prior's score was."""
    reading = report.reading
    pen.heading("Probability of cancer, %" if reading.algorithm.calibrated else "Score 0-100, not a probability")
    scores = _text.breast_scores(reading)
    before = _text.breast_scores(report.prior[0]) if report.prior else {}
    for side in ImageLaterality:
        left, right, top = pen.box[0] + 120, pen.box[2] - 140, pen.y + 12
        bar = (left, top, right, top + 30)
        if side in scores:
            pen.draw.rounded_rectangle(bar, 6, fill=_canvas.RAISED)
            end = left + max(8, scores[side] * (right - left))
            pen.draw.rounded_rectangle((left, top, end, top + 30), 6, fill=colour)
            if side in before:
                tick = left + before[side] * (right - left)
                pen.draw.rectangle((tick - 3, top - 7, tick + 3, top + 37), fill=_canvas.TEXT)
            pen.right(_text.percent(scores[side]), 46, _canvas.TEXT, "Semibold")
        else:
            _canvas.hatch(pen.card, bar, _canvas.blended(_canvas.MAGENTA, 0.45), step=30, thickness=7)
            pen.right("not read", 36, _canvas.MAGENTA, "Semibold")
        pen.line(_text.SIDES[side].capitalize(), 40, _canvas.TEXT)
        pen.y += 6


def _height_below(report: Report, read_lines: int) -> float:
    """Room that the sections below the findings will take."""
    change = _text.change_lines(report)
    heading = _GAP + 37
    return (
        (heading + 46 * max(1, len(change) - 1) if change else 0)
        + (heading + 46 + 34 if report.reading.composition else 0)
        + heading
        + 46
        + 76 * min(3, read_lines - 1)
    )


def _findings(pen: _Pen, reading: Reading, colour: Colour, bottom: float) -> None:
    """One line per lesion: its mark's shape, number, side and type, and the score on each view."""
    pen.heading("Findings")
    lesions = sorted({finding.lesion for finding in reading.findings})
    if not lesions:
        pen.line("No region marked", 36, _canvas.TEXT)
        return
    for index, lesion in enumerate(lesions):
        last = index + 1 == len(lesions)
        if pen.y + (46 if last else 92) > bottom and index:
            pen.line(f"and {len(lesions) - index} more: see the structured report", 32, _canvas.MUTED)
            return
        _finding_line(pen, [finding for finding in reading.findings if finding.lesion == lesion], reading, colour)


def _finding_line(pen: _Pen, findings: Sequence[Finding], reading: Reading, colour: Colour) -> None:
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
    size = _canvas.fitting_size(what, 36, space, smallest=26)
    pen.draw.text((pen.box[0] + 46, pen.y), what, font=_canvas.font(size), fill=_canvas.TEXT, anchor="la")
    pen.y += 46


def _change(pen: _Pen, report: Report) -> None:
    change = _text.change_lines(report)
    if not change:
        return
    pen.heading(change[0].rstrip(":") if len(change) > 1 else "Prior exam")
    for line in change[1:] or change:
        pen.line(line[0].upper() + line[1:], 36, _canvas.TEXT)


def _read_lines(reading: Reading) -> list[tuple[str, Colour]]:
    lines: list[tuple[str, Colour]] = [(_text.views_line(reading), _canvas.TEXT)]
    return lines + [(f"Left out: {text}", _canvas.MUTED) for text in _text.counted(reading.left_out)]
