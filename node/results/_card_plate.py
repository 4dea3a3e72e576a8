"""The card's answer: the category's plate with its sign, what of the exam it does not cover, and the band.

The four categories differ by colour, by word, by the sign's shape and by how the plate is filled (outline, thick
outline, solid, hatched), so that a thumbnail tells them apart in grey and to every eye.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from ai.calibration import ALL
from ai.findings import Category, Reading
from node.results import _canvas, _text
from node.results._canvas import Box, Colour
from node.results._card_pen import Pen

COLOURS = {
    Category.NEGATIVE: _canvas.BLUE,
    Category.INDETERMINATE: _canvas.YELLOW,
    Category.SUSPICIOUS: _canvas.AMBER,
    Category.NOT_READ: _canvas.MAGENTA,
}
#: How `ai.inference` names the reference window among the algorithm's parameters.
_WINDOW = "reference window: "
_HEIGHT = 196
_SIGN = 132
_SUPERSAMPLED = 3


def draw_category(pen: Pen, reading: Reading) -> None:
    """The word on its plate, and beneath it, as loud, which part of the exam it does not cover."""
    left, _, right, _ = pen.box
    category, colour = reading.category, COLOURS[reading.category]
    plate = (left, pen.y, right, pen.y + _HEIGHT)
    solid = category is Category.SUSPICIOUS
    thickness = 5 if category is Category.NEGATIVE else 18
    pen.draw.rounded_rectangle(plate, 18, fill=colour if solid else None, outline=colour, width=thickness)
    _word(pen, plate, category, _text.CATEGORIES[category], _canvas.BACKGROUND if solid else colour)
    pen.y += _HEIGHT + 12
    if missing := _text.unread_views(reading):
        _missing(pen, f"{_text.missing_part(missing)} not read")


def draw_not_read(pen: Pen) -> None:
    """The plate of an exam that was not read: hatched, as nothing else on any card."""
    left, _, right, _ = pen.box
    colour = COLOURS[Category.NOT_READ]
    plate = (left, pen.y, right, pen.y + _HEIGHT + 64)
    pen.draw.rectangle(plate, fill=colour)
    _canvas.hatch(pen.card, plate, _canvas.blended(_canvas.BACKGROUND, 0.16, colour), step=48, thickness=14)
    inner = (plate[0] + 26, plate[1] + 26, plate[2] - 26, plate[3] - 26)
    pen.draw.rectangle(inner, fill=colour)
    _word(pen, (*inner[:3], inner[3] - 44), Category.NOT_READ, "NOT READ", _canvas.BACKGROUND)
    at = ((inner[0] + inner[2] + _SIGN + 30) / 2, inner[3] - 8)
    pen.draw.text(at, "by AI", font=_canvas.font(52, "Bold"), fill=_canvas.BACKGROUND, anchor="ms")
    pen.y = plate[3] + 22


def _word(pen: Pen, plate: Box, category: Category, word: str, ink: Colour) -> None:
    left, top, right, bottom = plate
    middle = (top + bottom) / 2
    sign = (round(left) + 34, round(middle) - _SIGN // 2)
    pen.card.paste(ink, sign, _sign(category))
    start = sign[0] + _SIGN + 30
    space = right - start - 34
    size = _canvas.fitting_size(word, 132, space, "Bold")
    at = (start + space / 2, middle)
    pen.draw.text(at, word, font=_canvas.font(size, "Bold"), fill=ink, anchor="mm")


def _sign(category: Category) -> Image.Image:
    """A circle with a bar, a diamond with "?", a triangle with "!", a crossed square: `_SIGN` pixels, as a mask."""
    side = _SIGN * _SUPERSAMPLED
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    middle, edge, stroke = side / 2, side * 0.04, round(side * 0.10)
    if category is Category.NEGATIVE:
        draw.ellipse((edge, edge, side - edge, side - edge), outline=255, width=stroke)
        draw.rectangle((side * 0.28, middle - stroke / 2, side * 0.72, middle + stroke / 2), fill=255)
    elif category is Category.INDETERMINATE:
        draw.polygon([(middle, 0), (side, middle), (middle, side), (0, middle)], fill=255)
        draw.text((middle, middle), "?", font=_canvas.font(round(side * 0.62), "Bold"), fill=0, anchor="mm")
    elif category is Category.SUSPICIOUS:
        draw.polygon([(middle, side * 0.02), (side, side * 0.95), (0, side * 0.95)], fill=255)
        draw.text((middle, side * 0.66), "!", font=_canvas.font(round(side * 0.66), "Bold"), fill=0, anchor="mm")
    else:
        draw.rectangle((edge, edge, side - edge, side - edge), outline=255, width=stroke)
        near, far = edge + stroke / 2, side - edge - stroke / 2
        for start, end in (((near, near), (far, far)), ((near, far), (far, near))):
            draw.line([start, end], fill=255, width=stroke)
    return mask.resize((_SIGN, _SIGN), Image.Resampling.BOX)


def _missing(pen: Pen, words: str) -> None:
    """A hatched strip in the unread colour."""
    left, _, right, _ = pen.box
    strip = (left, pen.y, right, pen.y + 72)
    _canvas.hatch(pen.card, strip, _canvas.blended(_canvas.MAGENTA, 0.75), step=36, thickness=12)
    size = _canvas.fitting_size(words, 48, pen.space - 120, "Bold")
    half = _canvas.width(words, size, "Bold") / 2 + 24
    middle = (left + right) / 2
    pen.draw.rectangle((middle - half, strip[1], middle + half, strip[3]), fill=_canvas.BACKGROUND)
    at = (middle, pen.y + 36)
    pen.draw.text(at, words, font=_canvas.font(size, "Bold"), fill=_canvas.MAGENTA, anchor="mm")
    pen.y += 84


def draw_band(pen: Pen, reading: Reading) -> None:
    """The band large, where it stands among ten, and in what population."""
    colour = COLOURS[reading.category]
    left, floor, number = pen.box[0], pen.y + 128, str(reading.band)
    pen.draw.text((left, floor), number, font=_canvas.font(176, "Bold"), fill=colour, anchor="ls")
    beside = left + _canvas.width(number, 176, "Bold") + 14
    for words, lift in (("band", 48), ("of 10", 0)):
        pen.draw.text((beside, floor - lift), words, font=_canvas.font(44, "Semibold"), fill=_canvas.TEXT, anchor="ls")
    _ramp(pen, reading, colour)
    pen.y += 178
    sentence = _text.percentile_sentence(reading)
    tone = _canvas.WARNING if reading.cautions else _canvas.TEXT
    pen.paragraph(sentence, _canvas.fitting_size(sentence, 40, pen.space, smallest=34), tone)
    if population := _population(reading):
        pen.line(f"compared with {population}", 28, _canvas.MUTED)


def _population(reading: Reading) -> str:
    """Whose exams the percentile compares with; a pooled window may hold this system's exams or not."""
    said = next((each.removeprefix(_WINDOW) for each in reading.algorithm.parameters if each.startswith(_WINDOW)), "")
    if said != ALL:
        return said or str(reading.stratum or "")
    return "exams of other systems" if reading.is_borrowed else "exams of several systems, this one among them"


def _ramp(pen: Pen, reading: Reading, colour: Colour) -> None:
    """Ten steps that rise, a tenth of a screening population each; this exam's is filled and has a larger number."""
    left, right, floor, gap = pen.box[0] + 356, pen.box[2], pen.y + 128, 6.0
    wide = (right - left - 9 * gap) / 10
    for band in range(1, 11):
        x = left + (band - 1) * (wide + gap)
        top = floor - 46 - 8 * band
        here = band == reading.band
        pen.draw.rounded_rectangle((x, top, x + wide, floor), 6, fill=colour if here else _canvas.RAISED)
        ink = _canvas.BACKGROUND if here else _canvas.MUTED
        font = _canvas.font(36 if here else 26, "Bold" if here else "Regular")
        pen.draw.text((x + wide / 2, floor - 24), str(band), font=font, fill=ink, anchor="mm")
    for x, anchor, words in ((left, "la", "lowest tenth"), (right, "ra", "highest tenth")):
        pen.draw.text((x, floor + 8), words, font=_canvas.font(26), fill=_canvas.MUTED, anchor=anchor)
