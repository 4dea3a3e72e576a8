"""The summary card: what a radiologist reads in three seconds at arm's length, and the rest beside it.

Header: the patient, so that a print-out is not mixed up. Left: the four views. Right: category, band, scores, findings,
change, composition, what was read. Footer: model, calibration, time, labelling. An exam that was not read has another
colour, a hatched frame and its reasons instead of any number.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from ai import elements
from ai.findings import Category
from ai.reasons import ReasonCode
from node.results import Report, _canvas, _card_panel, _text
from node.results._card_views import draw_views

SIZE = (2048, 1536)
_HEADER = 92
_FOOTER = 84
_VIEWS_RIGHT = 1268
_FRAME = 18

COLOURS = {
    Category.NEGATIVE: _canvas.BLUE,
    Category.INDETERMINATE: _canvas.YELLOW,
    Category.SUSPICIOUS: _canvas.AMBER,
    Category.NOT_READ: _canvas.MAGENTA,
}


def render(report: Report) -> Image.Image:
    """The card as an RGB picture of `SIZE`. The same report gives the same pixels."""
    card = Image.new("RGB", SIZE, _canvas.BACKGROUND)
    unread = report.reading.category is Category.NOT_READ
    colour = COLOURS[report.reading.category]
    edge = _FRAME if unread else 0
    if unread:
        _canvas.hatch(card, (0, 0, *SIZE), _canvas.blended(colour, 0.75))
        ImageDraw.Draw(card).rectangle((edge, edge, SIZE[0] - edge, SIZE[1] - edge), fill=_canvas.BACKGROUND)
    bottom = SIZE[1] - edge - _FOOTER
    draw_views(card, (24 + edge, edge + _HEADER + 6, _VIEWS_RIGHT, bottom - 10), report, _canvas.AMBER)
    _header(card, report, edge)
    panel = (_VIEWS_RIGHT + 40.0, edge + _HEADER + 12.0, SIZE[0] - edge - 32.0, bottom - 12.0)
    if unread:
        _card_panel.draw_unread(card, panel, report, colour)
    else:
        _card_panel.draw_read(card, panel, report, colour)
    _footer(card, report, edge)
    return card


def patient_name(text: str) -> str:
    """A PN value's alphabetic group as "Family, Given Middle" (PS3.5 6.2.1)."""
    family, *others = text.split("=", maxsplit=1)[0].split("^")
    given = " ".join(part for part in others[:2] if part)
    return ", ".join(part for part in (family, given) if part) or "no name"


def _header(card: Image.Image, report: Report, edge: int) -> None:
    draw = ImageDraw.Draw(card)
    source = report.sources[0]
    title = "AI triage" + (f", revision {report.reading.revision}" if report.reading.revision > 1 else "")
    right = SIZE[0] - edge - 32
    middle = edge + _HEADER // 2
    draw.text((right, middle), title, font=_canvas.font(36, "Semibold"), fill=_canvas.MUTED, anchor="rm")
    space = right - _canvas.width(title, 36, "Semibold") - 60
    left = 32 + edge
    if any(reason.code is ReasonCode.PATIENT_CONFLICT for reason in report.reading.reasons):
        name, facts = "Patient identity in conflict", ""  # whose name could be said here?
    else:
        name = patient_name(elements.text(source, "PatientName"))
        facts = _facts(report)
    if _canvas.width(name, 46, "Semibold") + 36 + _canvas.width(facts, 32) <= space - left:
        draw.text((left, middle), name, font=_canvas.font(46, "Semibold"), fill=_canvas.TEXT, anchor="lm")
        left += round(_canvas.width(name, 46, "Semibold")) + 36
        draw.text((left, middle + 3), facts, font=_canvas.font(32), fill=_canvas.MUTED, anchor="lm")
    else:
        size = _canvas.fitting_size(name, 42, space - left, "Semibold", smallest=24)
        name = _canvas.shortened(name, size, space - left, "Semibold")
        draw.text((left, middle - 18), name, font=_canvas.font(size, "Semibold"), fill=_canvas.TEXT, anchor="lm")
        size = _canvas.fitting_size(facts, 30, space - left, smallest=20)
        draw.text((left, middle + 23), facts, font=_canvas.font(size), fill=_canvas.MUTED, anchor="lm")
    draw.line([(edge, edge + _HEADER), (SIZE[0] - edge, edge + _HEADER)], fill=_canvas.RAISED, width=3)


def _facts(report: Report) -> str:
    source = report.sources[0]
    facts = (
        ("", elements.text(source, "PatientID")),
        ("born ", _text.date(elements.date(source, "PatientBirthDate"))),
        ("exam ", _text.date(elements.date(source, "StudyDate"))),
    )
    return "   ".join(f"{word}{value}" for word, value in facts if value)


def _footer(card: Image.Image, report: Report, edge: int) -> None:
    """Who read it and when, at the left; the labelling, as wide as it needs, at the right."""
    reading, draw = report.reading, ImageDraw.Draw(card)
    top, bottom, right = SIZE[1] - edge - _FOOTER, SIZE[1] - edge, SIZE[0] - edge - 32
    labelling = reading.algorithm.labelling
    draw.rectangle(
        (edge, top, SIZE[0] - edge, bottom), fill=_canvas.blended(_canvas.WARNING, 0.16 if labelling else 0.0)
    )
    draw.line([(edge, top), (SIZE[0] - edge, top)], fill=_canvas.RAISED, width=3)
    space = 0.5 * SIZE[0]
    size = _canvas.fitting_size(labelling, 34, space, "Bold", smallest=26)
    words = _canvas.lines(labelling, size, space, "Bold")[:2]
    for index, line in enumerate(words):
        y = (top + bottom) / 2 + (index - (len(words) - 1) / 2) * (size + 6)
        draw.text((right, y), line, font=_canvas.font(size, "Bold"), fill=_canvas.WARNING, anchor="rm")
    used = max((_canvas.width(line, size, "Bold") for line in words), default=0.0)
    space = right - used - 64 - edge
    made = [
        f"{reading.algorithm.name} {reading.algorithm.version}",
        f"weights {reading.algorithm.weights_sha256[:8]}" if reading.algorithm.weights_sha256 else "",
        f"calibration {reading.calibration_version}" if reading.calibration_version else "",
    ]
    when = f"{reading.started_at:%Y-%m-%d %H:%M} UTC{reading.started_at:%z}"
    rest = [f"{'refused' if reading.category is Category.NOT_READ else 'read'} {when}", report.device.station_name]
    for parts, offset in ((made, -18), (rest, 18)):
        line = _canvas.shortened(" · ".join(part for part in parts if part), 28, space)
        draw.text(
            (32 + edge, (top + bottom) / 2 + offset), line, font=_canvas.font(28), fill=_canvas.MUTED, anchor="lm"
        )
