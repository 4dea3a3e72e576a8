"""The summary card: what a radiologist reads in three seconds at arm's length, and the rest beside it.

Header: the patient, so that a print-out is not mixed up. Left: the four views. Right: category, band, scores, change,
findings, composition, what was read. Footer: model, calibration, time, labelling. An exam that was not read has
another colour, a hatched frame and its reasons instead of any number.

2048 × 1536: as wide as a 5 MP display upright, shown 1:1; and a shape that a general viewer's display, which is wider
than high, shows larger than it would an upright card.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from ai import elements
from ai.findings import Category, Reading
from ai.reasons import ReasonCode
from node.results import Report, _canvas, _card_panel, _text
from node.results._card_plate import COLOURS
from node.results._card_shown import shown_views
from node.results._card_views import draw_views

SIZE = (2048, 1536)
_HEADER = 92
_FOOTER = 84
_VIEWS_RIGHT = 1150
_FRAME = 22


@dataclass(frozen=True, slots=True)
class _Labelling:
    """The card's labelling, whole, in lines of one size."""

    lines: list[str]
    size: int

    @property
    def height(self) -> int:
        return len(self.lines) * (self.size + 6)

    @property
    def width(self) -> float:
        return max((_canvas.width(line, self.size, "Bold") for line in self.lines), default=0.0)


def render(report: Report) -> Image.Image:
    """The card as an RGB picture of `SIZE`. The same report gives the same pixels."""
    card = Image.new("RGB", SIZE, _canvas.BACKGROUND)
    unread = report.reading.category is Category.NOT_READ
    edge = _FRAME if unread else 0
    if unread:
        _canvas.hatch(card, (0, 0, *SIZE), COLOURS[Category.NOT_READ])
        ImageDraw.Draw(card).rectangle((edge, edge, SIZE[0] - edge, SIZE[1] - edge), fill=_canvas.BACKGROUND)
    labelling = _labelling(report.reading.algorithm.labelling)
    bottom = SIZE[1] - edge - max(_FOOTER, labelling.height + 24)
    shown = shown_views(report)
    draw_views(card, (24 + edge, edge + _HEADER + 6, _VIEWS_RIGHT, bottom - 10), report, shown)
    _header(card, report, edge)
    panel = (_VIEWS_RIGHT + 32.0, edge + _HEADER + 12.0, SIZE[0] - edge - 32.0, bottom - 12.0)
    if unread:
        _card_panel.draw_unread(card, panel, report)
    else:
        _card_panel.draw_read(card, panel, report, shown)
    _footer(card, report, (edge, bottom, SIZE[0] - edge, SIZE[1] - edge), labelling)
    return card


def patient_name(text: str) -> str:
    """A PN value's alphabetic group as "Family, Given Middle" (PS3.5 6.2.1)."""
    family, *others = text.split("=", maxsplit=1)[0].split("^")
    given = " ".join(part for part in others[:2] if part)
    return ", ".join(part for part in (family, given) if part) or "no name"


def _header(card: Image.Image, report: Report, edge: int) -> None:
    draw = ImageDraw.Draw(card)
    title = "AI triage" + (f", revision {report.reading.revision}" if report.reading.revision > 1 else "")
    left, right, middle = 32 + edge, SIZE[0] - edge - 32, edge + _HEADER // 2
    draw.text((right, middle), title, font=_canvas.font(36, "Semibold"), fill=_canvas.MUTED, anchor="rm")
    space = right - _canvas.width(title, 36, "Semibold") - 60 - left
    name, facts = _identity(report)
    wide = _canvas.width(name, 46, "Semibold") + 36
    if wide + _canvas.width(facts, 32) <= space:
        draw.text((left, middle), name, font=_canvas.font(46, "Semibold"), fill=_canvas.TEXT, anchor="lm")
        draw.text((left + wide, middle + 3), facts, font=_canvas.font(32), fill=_canvas.MUTED, anchor="lm")
    else:
        size = _canvas.fitting_size(name, 42, space, "Semibold")
        name = _canvas.shortened(name, size, space, "Semibold")
        draw.text((left, middle - 20), name, font=_canvas.font(size, "Semibold"), fill=_canvas.TEXT, anchor="lm")
        size = _canvas.fitting_size(facts, 30, space)
        draw.text((left, middle + 24), facts, font=_canvas.font(size), fill=_canvas.MUTED, anchor="lm")
    draw.line([(edge, edge + _HEADER), (SIZE[0] - edge, edge + _HEADER)], fill=_canvas.RAISED, width=3)


def _identity(report: Report) -> tuple[str, str]:
    """The patient's name, and what else says who she is; neither where the images name more than one."""
    if any(reason.code is ReasonCode.PATIENT_CONFLICT for reason in report.reading.reasons):
        return "Patient identity in conflict", ""  # whose name could be said here?
    source = report.sources[0]
    facts = (
        ("", elements.text(source, "PatientID")),
        ("born ", _text.date(elements.date(source, "PatientBirthDate"))),
        ("exam ", _text.date(elements.date(source, "StudyDate"))),
    )
    told = "   ".join(f"{word}{value}" for word, value in facts if value)
    return patient_name(elements.text(source, "PatientName")), told


def _labelling(text: str) -> _Labelling:
    """As few lines as the smallest size allows, and then as large as it fits: labelling is never cut."""
    space = 0.5 * SIZE[0]
    fewest = len(_canvas.lines(text, _canvas.SMALLEST, space, "Bold"))
    size = next(
        size
        for size in range(34, _canvas.SMALLEST - 1, -1)
        if size == _canvas.SMALLEST or len(_canvas.lines(text, size, space, "Bold")) <= max(1, fewest)
    )
    return _Labelling(_canvas.lines(text, size, space, "Bold"), size)


def _footer(card: Image.Image, report: Report, box: tuple[int, int, int, int], labelling: _Labelling) -> None:
    """Who read it and when, at the left; the labelling, as much room as it needs, at the right."""
    draw = ImageDraw.Draw(card)
    left, top, right, bottom = box
    draw.rectangle(box, fill=_canvas.blended(_canvas.WARNING, 0.16 if labelling.lines else 0.0))
    draw.line([(left, top), (right, top)], fill=_canvas.RAISED, width=3)
    middle, font = (top + bottom) / 2, _canvas.font(labelling.size, "Bold")
    for index, line in enumerate(labelling.lines):
        y = middle + (index - (len(labelling.lines) - 1) / 2) * (labelling.size + 6)
        draw.text((right - 32, y), line, font=font, fill=_canvas.WARNING, anchor="rm")
    space = right - left - labelling.width - 96
    for parts, offset in zip(_made(report.reading, report.device.station_name), (-18, 18), strict=True):
        line = _canvas.shortened(" · ".join(part for part in parts if part), 28, space)
        draw.text((left + 32, middle + offset), line, font=_canvas.font(28), fill=_canvas.MUTED, anchor="lm")


def _made(reading: Reading, station: str) -> tuple[list[str], list[str]]:
    """Two lines: what read it, and when and where."""
    algorithm = reading.algorithm
    what = [
        f"{algorithm.name} {algorithm.version}",
        f"weights {algorithm.weights_sha256[:8]}" if algorithm.weights_sha256 else "",
        f"calibration {reading.calibration_version}" if reading.calibration_version else "",
    ]
    when = f"{reading.started_at:%Y-%m-%d %H:%M} UTC{reading.started_at:%z}"
    return what, [f"{'refused' if reading.category is Category.NOT_READ else 'read'} {when}", station]
