"""The card's four views in mammography hanging: R CC | L CC over R MLO | L MLO, chest walls back to back.

All views are drawn at one scale, so that breasts and marks compare. Each place says which breast and view it is,
in letters that no marker burned into the image can be taken for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageDraw

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View, ViewPosition
from ai.findings import Finding, HeatMap
from node.results import Report, _canvas, _document, _text
from node.results._canvas import Box, Colour, Weight
from node.results._card_marks import draw_marks
from node.results._card_shown import Shown

#: Heat 0–255 → opacity: nothing below 0.3, where every textured place of healthy tissue glows a little.
_HEAT = [0] * 76 + [min(110, (level - 76) * 110 // 120) for level in range(76, 256)]
_MOST_LINES = 5  # of why a view was not read
_LETTER, _POSITION = 92, 44  # sizes of R or L, and of CC or MLO


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A shown image on the card: top-left corner and card pixels per stored pixel."""

    shown: Shown
    left: float
    top: float
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        left, top, right, bottom = self.shown.crop
        return max(1, round((right - left) * self.scale)), max(1, round((bottom - top) * self.scale))

    def point(self, column: float, row: float) -> tuple[float, float]:
        """Stored pixel → card pixel."""
        left, top, right, bottom = self.shown.crop
        x = right - column if self.shown.flip_x else column - left
        y = bottom - row if self.shown.flip_y else row - top
        return self.left + x * self.scale, self.top + y * self.scale

    def box(self, finding: Finding) -> Box:
        region = finding.region
        (x0, y0), (x1, y1) = self.point(region.left, region.top), self.point(region.right, region.bottom)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def draw_views(card: Image.Image, area: Box, report: Report, shown: Mapping[StandardView, Shown]) -> None:
    """Draw the four views with heat and marks into `area` of `card`."""
    ImageDraw.Draw(card).rectangle(area, fill=(0, 0, 0))
    rows = _rows(area, shown)
    places = _places(area, rows, shown)
    maps = {heat.sop_instance_uid: heat for heat in report.reading.heat_maps}
    for place in places.values():
        heat = maps.get(place.shown.view.sop_instance_uid)
        card.paste(_picture(place, heat), (round(place.left), round(place.top)))
    middle = round((area[0] + area[2]) / 2)
    ImageDraw.Draw(card).line([(middle, area[1]), (middle, area[3])], fill=_canvas.RAISED, width=4)
    for view in STANDARD_VIEWS:
        half = (area[0], middle - 3.0) if view.image_laterality is ImageLaterality.RIGHT else (middle + 3.0, area[2])
        top, bottom = rows[view.view_position]
        cell, hung = (half[0], top, half[1], bottom), places.get(view)
        taken = _finish_cell(card, cell, view, hung, report)
        if hung is not None:
            uid = hung.shown.view.sop_instance_uid
            findings = [each for each in report.reading.findings if each.region.sop_instance_uid == uid]
            draw_marks(card, cell, [(each, hung.box(each)) for each in findings], _canvas.AMBER, taken=taken)


def _extent(shown: Shown) -> tuple[float, float]:
    """Width and height of the crop in mm."""
    left, top, right, bottom = shown.crop
    return (right - left) * shown.spacing_mm, (bottom - top) * shown.spacing_mm


def _heights(shown: Mapping[StandardView, Shown]) -> dict[ViewPosition, float]:
    """The tallest crop of each row in mm; half of the other row's where a row is empty."""
    found = {
        position: max((_extent(s)[1] for view, s in shown.items() if view.view_position is position), default=0.0)
        for position in ViewPosition
    }
    tallest = max(found.values()) or 1.0
    return {position: height or tallest / 2 for position, height in found.items()}


def _rows(area: Box, shown: Mapping[StandardView, Shown]) -> dict[ViewPosition, tuple[float, float]]:
    """Top and bottom of the CC and the MLO row, in proportion to what they hold."""
    heights = _heights(shown)
    share = min(0.6, max(0.4, heights[ViewPosition.CC] / sum(heights.values())))
    middle = round(area[1] + share * (area[3] - area[1]))
    return {ViewPosition.CC: (area[1], middle - 3.0), ViewPosition.MLO: (middle + 3.0, area[3])}


def _places(
    area: Box, rows: Mapping[ViewPosition, tuple[float, float]], shown: Mapping[StandardView, Shown]
) -> dict[StandardView, _Place]:
    """Every image at the same scale and at the middle line; a CC centred in its row, an MLO hung from its top."""
    if not shown:
        return {}
    half = (area[2] - area[0]) / 2 - 4
    per_mm = min(
        min(half / _extent(s)[0], (rows[view.view_position][1] - rows[view.view_position][0]) / _extent(s)[1])
        for view, s in shown.items()
    )
    middle = round((area[0] + area[2]) / 2)
    places = {}
    for view, one in shown.items():
        scale = per_mm * one.spacing_mm
        wide, high = _Place(shown=one, left=0.0, top=0.0, scale=scale).size
        top, bottom = rows[view.view_position]
        left = middle - 4 - wide if view.image_laterality is ImageLaterality.RIGHT else middle + 4
        if view.view_position is ViewPosition.CC:
            top = round((top + bottom - high) / 2)
        places[view] = _Place(shown=one, left=float(left), top=float(top), scale=scale)
    return places


def _picture(place: _Place, heat: HeatMap | None) -> Image.Image:
    """The crop at its size on the card, with heat; dimmed and hatched where it was not read."""
    shown = place.shown
    grey = shown.part(shown.crop, place.size)
    picture = Image.merge("RGB", (grey, grey, grey))
    if not shown.is_read:
        picture = picture.point([level * 2 // 5 for level in range(256)] * 3)
        _canvas.hatch(picture, (0, 0, *picture.size), _canvas.blended(_canvas.MAGENTA, 0.45), step=60, thickness=7)
    elif heat is not None:
        grid = Image.frombytes("L", (heat.columns, heat.rows), heat.values)
        mask = shown.resized(grid, shown.crop, place.size, Image.Resampling.BICUBIC).point(_HEAT)
        picture.paste(_canvas.AMBER, (0, 0), mask)
    return picture


def _finish_cell(card: Image.Image, cell: Box, view: StandardView, place: _Place | None, report: Report) -> list[Box]:
    """The view's name and score in the outer corner, and what a place without a read image is; where they stand."""
    taken = _name(card, cell, view, report)
    if place is not None and place.shown.is_turned:
        right = view.image_laterality is ImageLaterality.RIGHT
        at = (cell[0] + 18 if right else cell[2] - 18, cell[3] - 14)
        anchor = "ld" if right else "rd"
        taken.append(_tagged(card, at, "turned to hang", size=26, colour=_canvas.MUTED, anchor=anchor))
    if place is not None and place.shown.is_read:
        return taken
    return [*taken, *_unread(card, cell, view, place, report)]


def _unread(card: Image.Image, cell: Box, view: StandardView, place: _Place | None, report: Report) -> list[Box]:
    """What a place without a read image is, and why, in its middle."""
    read = any(image.standard_view == view for image in report.reading.inputs)
    colour = _canvas.MUTED if read else _canvas.MAGENTA
    if place is None:
        inner = (cell[0] + 18, cell[1] + 170, cell[2] - 18, cell[3] - 18)
        if not read:
            _canvas.hatch(card, inner, _canvas.blended(colour, 0.22), step=40, thickness=5)
        ImageDraw.Draw(card).rectangle(inner, outline=_canvas.blended(colour, 0.45), width=2)
    words = "read; no picture" if read else "not read" if place or _has_image(report, view) else "no image"
    x, y = (cell[0] + cell[2]) / 2, (cell[1] + cell[3]) / 2
    taken = [_tagged(card, (x, y), words, size=48, colour=colour, anchor="mm")]
    uid = place.shown.view.sop_instance_uid if place is not None else ""
    why = [r for r in (*report.reading.reasons, *report.reading.left_out) if uid and r.sop_instance_uid == uid]
    lines = [line for said in _text.counted(why) for line in _canvas.lines(said, 28, cell[2] - cell[0] - 80)]
    for index, line in enumerate(lines[:_MOST_LINES]):
        at = (x, y + 58 + 42 * index)
        taken.append(_tagged(card, at, line, size=28, colour=_canvas.TEXT, anchor="mm"))
    return taken


def _name(card: Image.Image, cell: Box, view: StandardView, report: Report) -> list[Box]:
    """R or L large and the projection after it, in the outer corner; the view's score beneath."""
    right = view.image_laterality is ImageLaterality.RIGHT
    side, position = str(view.image_laterality), str(view.view_position)
    wide = _canvas.width(side, _LETTER, "Bold") + 16
    start = cell[0] + 20 if right else cell[2] - 20 - wide - _canvas.width(position, _POSITION, "Semibold")
    base = cell[1] + 84
    taken = [
        _tagged(card, (start, base), side, size=_LETTER, colour=_canvas.TEXT, anchor="ls", weight="Bold"),
        _tagged(card, (start + wide, base), position, size=_POSITION, colour=_canvas.TEXT, anchor="ls"),
    ]
    for found in report.reading.views:
        if found.standard_view == view:
            at, anchor = (cell[0] + 20 if right else cell[2] - 20, base + 50), "ls" if right else "rs"
            said = _text.percent(found.probability)
            taken.append(_tagged(card, at, said, size=34, colour=_canvas.MUTED, anchor=anchor))
    return taken


def _has_image(report: Report, view: StandardView) -> bool:
    return any(View.from_dataset(source).standard_view == view for source in _document.images(report))


def _tagged(
    card: Image.Image,
    at: tuple[float, float],
    text: str,
    *,
    size: int,
    colour: Colour,
    anchor: str,
    weight: Weight = "Semibold",
) -> Box:
    """Text on a dark plate, so that it reads over tissue and over markers burned into the image; the plate's place."""
    draw, font = ImageDraw.Draw(card), _canvas.font(size, weight)
    left, top, right, bottom = draw.textbbox(at, text, font=font, anchor=anchor)
    plate = (left - 8, top - 7, right + 8, bottom + 8)
    draw.rounded_rectangle(plate, 8, fill=_canvas.BACKGROUND)
    draw.text(at, text, font=font, fill=colour, anchor=anchor)
    return plate
