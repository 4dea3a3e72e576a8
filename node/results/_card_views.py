"""The card's four views in mammography hanging: R CC | L CC over R MLO | L MLO, chest walls back to back.

All views are drawn at one scale, so that breasts and marks compare. Positions come in stored-image pixels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View, ViewPosition
from ai.findings import Category, Finding, HeatMap, ViewAssessment
from node.results import Report, _canvas, _document, _text
from node.results._canvas import Box, Colour
from node.results._card_marks import draw_marks

_HEAT = [0] * 40 + [min(115, (level - 40) * 115 // 180) for level in range(40, 256)]  # heat 0–255 → opacity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """An image for one place of the hanging. crop: what of the stored image is shown; flips: to the hanging."""

    view: View
    picture: Image.Image
    crop: Box
    flip_x: bool
    flip_y: bool
    is_read: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A shown image on the card: top-left corner and card pixels per stored pixel."""

    shown: _Shown
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


def draw_views(card: Image.Image, area: Box, report: Report, colour: Colour) -> None:
    """Draw the four views with heat and marks into `area` of `card`. colour: of the marks."""
    ImageDraw.Draw(card).rectangle(area, fill=(0, 0, 0))
    shown = {view: found for view in STANDARD_VIEWS if (found := _shown(report, view)) is not None}
    rows = _rows(area, shown)
    places = _places(area, rows, shown)
    maps = {heat.sop_instance_uid: heat for heat in report.reading.heat_maps}
    for shown_place in places.values():
        heat = maps.get(shown_place.shown.view.sop_instance_uid)
        card.paste(_picture(shown_place, heat, colour), (round(shown_place.left), round(shown_place.top)))
    middle = round((area[0] + area[2]) / 2)
    ImageDraw.Draw(card).line([(middle, area[1]), (middle, area[3])], fill=_canvas.RAISED, width=4)
    for view in STANDARD_VIEWS:
        half = (area[0], middle - 3.0) if view.image_laterality is ImageLaterality.RIGHT else (middle + 3.0, area[2])
        top, bottom = rows[view.view_position]
        cell = (half[0], top, half[1], bottom)
        _finish_cell(card, cell, view, places.get(view), report)
        if (place := places.get(view)) is not None:
            uid = place.shown.view.sop_instance_uid
            marked = [finding for finding in report.reading.findings if finding.region.sop_instance_uid == uid]
            draw_marks(card, cell, [(finding, place.box(finding)) for finding in marked], colour)


def _shown(report: Report, standard_view: StandardView) -> _Shown | None:
    """The image that was read for this view, or else one of it that was not and can be shown."""
    read = {image.sop_instance_uid for image in report.reading.inputs}
    candidates = [
        source
        for source in _document.images(report)
        if View.from_dataset(source).standard_view == standard_view and str(source.SOPInstanceUID) in report.previews
    ]
    if not candidates:
        return None
    source = min(candidates, key=lambda candidate: str(candidate.SOPInstanceUID) not in read)
    view = View.from_dataset(source)
    if not (view.rows and view.columns):
        return None
    picture = Image.open(io.BytesIO(report.previews[view.sop_instance_uid])).convert("L")
    flip_x, flip_y = _flips(source, standard_view, picture)
    outlines = [found for found in report.reading.views if found.sop_instance_uid == view.sop_instance_uid]
    return _Shown(
        view=view,
        picture=picture,
        crop=_crop(view, outlines, report.reading.findings),
        flip_x=flip_x,
        flip_y=flip_y,
        is_read=view.sop_instance_uid in read,
    )


def _flips(source: Dataset, view: StandardView, picture: Image.Image) -> tuple[bool, bool]:
    """Whether the stored image is mirrored against the hanging, by Patient Orientation (PS3.3 C.7.6.1.1.1).

    In the hanging a right breast points to the left (its rows run posterior), a left one to the right; the lateral
    side of a CC and the head side of an MLO are up. Without the element the darker edge is taken as the front.
    """
    right = view.image_laterality is ImageLaterality.RIGHT
    directions = elements.texts(source, "PatientOrientation")
    row, column = directions if len(directions) == 2 else ("", "")
    if row[:1] in ("A", "P"):
        flip_x = row[:1] == ("A" if right else "P")
    else:
        share = max(1, picture.width // 8)
        edges = [picture.crop((x, 0, x + share, picture.height)) for x in (0, picture.width - share)]
        left, other = (edge.resize((1, 1), Image.Resampling.BOX).tobytes()[0] for edge in edges)
        flip_x = left > other if right else left < other
    upside_down = "H" if view.view_position is ViewPosition.MLO else ("R" if right else "L")
    return flip_x, column[:1] == upside_down


def _crop(view: View, outlines: Sequence[ViewAssessment], findings: Sequence[Finding]) -> Box:
    """The breast with a little air and every mark on it; the whole image where no outline is known."""
    points = [point for outline in outlines for point in outline.breast_outline]
    if not points:
        return 0.0, 0.0, float(view.columns), float(view.rows)
    for finding in findings:
        if finding.region.sop_instance_uid == view.sop_instance_uid:
            region = finding.region
            points += [(region.left, region.top), (region.right, region.bottom)]
    columns, rows = [x for x, _ in points], [y for _, y in points]
    air_x, air_y = 0.03 * view.columns, 0.02 * view.rows
    return (
        max(0.0, min(columns) - air_x),
        max(0.0, min(rows) - air_y),
        min(float(view.columns), max(columns) + air_x),
        min(float(view.rows), max(rows) + air_y),
    )


def _spacing(shown: _Shown) -> float:
    return (shown.view.imager_pixel_spacing_mm or (0.07, 0.07))[0]


def _extent(shown: _Shown) -> tuple[float, float]:
    """Width and height of the crop in mm."""
    left, top, right, bottom = shown.crop
    return (right - left) * _spacing(shown), (bottom - top) * _spacing(shown)


def _heights(shown: dict[StandardView, _Shown]) -> dict[ViewPosition, float]:
    """The tallest crop of each row in mm; half of the other row's where a row is empty."""
    found = {
        position: max((_extent(s)[1] for view, s in shown.items() if view.view_position is position), default=0.0)
        for position in ViewPosition
    }
    tallest = max(found.values()) or 1.0
    return {position: height or tallest / 2 for position, height in found.items()}


def _rows(area: Box, shown: dict[StandardView, _Shown]) -> dict[ViewPosition, tuple[float, float]]:
    """Top and bottom of the CC and the MLO row, in proportion to what they hold."""
    heights = _heights(shown)
    share = min(0.6, max(0.4, heights[ViewPosition.CC] / sum(heights.values())))
    middle = round(area[1] + share * (area[3] - area[1]))
    return {ViewPosition.CC: (area[1], middle - 3.0), ViewPosition.MLO: (middle + 3.0, area[3])}


def _places(
    area: Box, rows: dict[ViewPosition, tuple[float, float]], shown: dict[StandardView, _Shown]
) -> dict[StandardView, _Place]:
    """Every image at the same scale, at the middle line, centred in its row."""
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
        scale = per_mm * _spacing(one)
        place = _Place(shown=one, left=0.0, top=0.0, scale=scale)
        wide, high = place.size
        top, bottom = rows[view.view_position]
        left = middle - 4 - wide if view.image_laterality is ImageLaterality.RIGHT else middle + 4
        places[view] = _Place(shown=one, left=float(left), top=float(round((top + bottom - high) / 2)), scale=scale)
    return places


def _picture(place: _Place, heat: HeatMap | None, colour: Colour) -> Image.Image:
    """The crop at its size on the card, with heat; dimmed and hatched where it was not read."""
    shown = place.shown
    grey = _resized(shown.picture, shown, place.size, Image.Resampling.LANCZOS)
    picture = Image.merge("RGB", (grey, grey, grey))
    if not shown.is_read:
        picture = picture.point([level * 2 // 5 for level in range(256)] * 3)
        _canvas.hatch(picture, (0, 0, *picture.size), _canvas.blended(_canvas.MAGENTA, 0.32), step=60, thickness=6)
    elif heat is not None:
        grid = Image.frombytes("L", (heat.columns, heat.rows), heat.values)
        mask = _resized(grid, shown, place.size, Image.Resampling.BICUBIC).point(_HEAT)
        picture.paste(colour, (0, 0), mask)
    return picture


def _resized(picture: Image.Image, shown: _Shown, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    """The crop of a picture that covers the whole stored image, turned to the hanging."""
    across, down = picture.width / shown.view.columns, picture.height / shown.view.rows
    left, top, right, bottom = shown.crop
    box = (left * across, top * down, right * across, bottom * down)
    result = picture.resize(size, resampling, box=box)
    if shown.flip_x:
        result = ImageOps.mirror(result)
    return ImageOps.flip(result) if shown.flip_y else result


def _finish_cell(card: Image.Image, cell: Box, view: StandardView, place: _Place | None, report: Report) -> None:
    """The view's name and score in the outer corner; what a place without a read image is."""
    right = view.image_laterality is ImageLaterality.RIGHT
    x = cell[0] + 18 if right else cell[2] - 18
    anchor = "la" if right else "ra"
    _tagged(card, (x, cell[1] + 14), str(view), size=36, colour=_canvas.TEXT, anchor=anchor)
    scores = [found.probability for found in report.reading.views if found.standard_view == view]
    if scores:
        score = _text.percent(scores[0])
        _tagged(card, (x, cell[1] + 58), score, size=30, colour=_canvas.MUTED, anchor=anchor)
    if place is not None and place.shown.is_read:
        return
    read = any(image.standard_view == view for image in report.reading.inputs)
    colour = _canvas.MUTED if read else _canvas.MAGENTA
    if place is None:
        inner = (cell[0] + 18, cell[1] + 110, cell[2] - 18, cell[3] - 18)
        if not read:
            _canvas.hatch(card, inner, _canvas.blended(colour, 0.10), step=40, thickness=5)
        ImageDraw.Draw(card).rectangle(inner, outline=_canvas.blended(colour, 0.35), width=2)
    if report.reading.category is not Category.NOT_READ or place is None:
        words = "read; no picture" if read else "not read" if place or _has_image(report, view) else "no image"
        middle = ((cell[0] + cell[2]) / 2, (cell[1] + cell[3]) / 2)
        _tagged(card, middle, words, size=44, colour=colour, anchor="mm")


def _has_image(report: Report, view: StandardView) -> bool:
    return any(View.from_dataset(source).standard_view == view for source in _document.images(report))


def _tagged(card: Image.Image, at: tuple[float, float], text: str, *, size: int, colour: Colour, anchor: str) -> None:
    """Text on a dark plate, so that it reads over tissue and over markers burned into the image."""
    draw, font = ImageDraw.Draw(card), _canvas.font(size, "Semibold")
    left, top, right, bottom = draw.textbbox(at, text, font=font, anchor=anchor)
    draw.rounded_rectangle((left - 8, top - 6, right + 8, bottom + 7), 8, fill=_canvas.BACKGROUND)
    draw.text(at, text, font=font, fill=colour, anchor=anchor)
