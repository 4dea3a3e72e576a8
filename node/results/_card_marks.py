"""The card's marks: a shape around every finding, a label at the most suspicious ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from ai.findings import Finding, FindingType
from node.results import _canvas, _text
from node.results._canvas import Box, Colour

_LABELLED = 6  # marks with a label on one view; more only crowd each other
_SUPERSAMPLED = 3
_BESIDE = 20  # a label at most so far from its mark needs no line to it

Mark = tuple[Finding, Box]


def draw_marks(
    card: Image.Image, area: Box, marks: Sequence[Mark], colour: Colour, *, taken: Sequence[Box] = ()
) -> None:
    """Draw the findings of one view. marks: with their boxes on the card; area less `taken`: where labels may stand."""
    by_suspicion = sorted(marks, key=lambda mark: -mark[0].probability)
    for thickness, tone in ((9, _canvas.BACKGROUND), (5, colour)):
        for finding, box in reversed(by_suspicion):
            _stroke(card, finding.finding_type, box, thickness, tone)
    occupied = [*taken, *(box for _, box in by_suspicion)]
    for mark in by_suspicion[:_LABELLED]:
        _label(card, area, mark, taken=occupied, colour=colour)


def _stroke(card: Image.Image, finding_type: FindingType, box: Box, thickness: int, colour: Colour) -> None:
    """A shape drawn large and made smaller, for smooth edges."""
    left, top, right, bottom = box
    margin = thickness
    origin = (round(left) - margin, round(top) - margin)
    size = (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin)
    mask = Image.new("L", (size[0] * _SUPERSAMPLED, size[1] * _SUPERSAMPLED))
    half = thickness / 2
    inner = (
        (left - origin[0] - half) * _SUPERSAMPLED,
        (top - origin[1] - half) * _SUPERSAMPLED,
        (right - origin[0] + half) * _SUPERSAMPLED,
        (bottom - origin[1] + half) * _SUPERSAMPLED,
    )
    draw_shape(ImageDraw.Draw(mask), finding_type, inner, thickness * _SUPERSAMPLED)
    card.paste(colour, origin, mask.resize(size, Image.Resampling.BOX))


def draw_shape(draw: ImageDraw.ImageDraw, finding_type: FindingType, box: Box, thickness: int) -> None:
    """Round for soft tissue, square for calcifications, a diamond for distortion, six-sided where the model does not
    tell: the types differ without colour."""
    left, top, right, bottom = box
    if finding_type is FindingType.SOFT_TISSUE:
        draw.ellipse(box, outline=255, width=thickness)
    elif finding_type is FindingType.CALCIFICATION_CLUSTER:
        draw.rounded_rectangle(box, min(right - left, bottom - top) / 8, outline=255, width=thickness)
    elif finding_type is FindingType.SUSPICIOUS_REGION:
        quarter, y = (right - left) / 4, (top + bottom) / 2
        upper, lower = (
            [(left + quarter, top), (right - quarter, top)],
            [(right - quarter, bottom), (left + quarter, bottom)],
        )
        corners = [*upper, (right, y), *lower, (left, y), *upper]
        draw.line(corners, fill=255, width=thickness, joint="curve")
    else:
        x, y = (left + right) / 2, (top + bottom) / 2
        corners = [(x, top), (right, y), (x, bottom), (left, y), (x, top), (right, y)]
        draw.line(corners, fill=255, width=thickness, joint="curve")


def _label(card: Image.Image, area: Box, mark: Mark, *, taken: list[Box], colour: Colour) -> None:
    """ "1 · 87.3" beside the mark, where nothing else is; left out when there is no such place."""
    finding, box = mark
    text = f"{finding.lesion} · {_text.percent(finding.probability)}"
    wide, high = _canvas.width(text, 30, "Semibold") + 20, 42.0
    for spot in _spots(box, wide, high):
        inside = area[0] <= spot[0] and area[1] <= spot[1] and spot[2] <= area[2] and spot[3] <= area[3]
        if inside and not any(_overlap(spot, other) for other in taken):
            draw = ImageDraw.Draw(card)
            _leader(draw, box, spot, colour)
            draw.rounded_rectangle(spot, 10, fill=_canvas.BACKGROUND, outline=_canvas.blended(colour, 0.5), width=2)
            at = ((spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2)
            draw.text(at, text, font=_canvas.font(30, "Semibold"), fill=colour, anchor="mm")
            taken.append(spot)
            return


def _leader(draw: ImageDraw.ImageDraw, box: Box, spot: Box, colour: Colour) -> None:
    """A line from a label to its mark, where they do not stand side by side."""
    near_x = min(max((spot[0] + spot[2]) / 2, box[0]), box[2]), min(max((box[0] + box[2]) / 2, spot[0]), spot[2])
    near_y = min(max((spot[1] + spot[3]) / 2, box[1]), box[3]), min(max((box[1] + box[3]) / 2, spot[1]), spot[3])
    start, end = (near_x[0], near_y[0]), (near_x[1], near_y[1])
    if math.dist(start, end) > _BESIDE:
        for width, tone in ((7, _canvas.BACKGROUND), (3, colour)):
            draw.line([start, end], fill=tone, width=width)


def _spots(box: Box, wide: float, high: float) -> list[Box]:
    """Places for a label around a mark, nearest first."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    corners = []
    for gap in (12, 40, 80, 140):
        corners += [
            (right + gap, y - high / 2),
            (left - gap - wide, y - high / 2),
            (x - wide / 2, top - gap - high),
            (x - wide / 2, bottom + gap),
            (right + gap / 2, top - gap - high / 2),
            (left - gap / 2 - wide, top - gap - high / 2),
            (right + gap / 2, bottom + gap - high / 2),
            (left - gap / 2 - wide, bottom + gap - high / 2),
        ]
    return [(a, b, a + wide, b + high) for a, b in corners]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
