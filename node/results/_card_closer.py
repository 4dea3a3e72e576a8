"""The most suspicious regions closer, without mark or heat: what the model looked at, to be judged by a human eye."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from ai.exam import StandardView
from ai.findings import Finding
from node.results import Report, _canvas
from node.results._canvas import Box
from node.results._card_pen import HEADING, Pen
from node.results._card_shown import Shown

_MOST = 3
_GAP = 12
_CAPTION = 40
_SMALLEST, _LARGEST = 200, 340  # sides; a preview has no more to show than the largest
_SIDE_MM = 50.0  # at least; a larger region gets half its size around it


def draw_closer(pen: Pen, report: Report, shown: Mapping[StandardView, Shown]) -> None:
    """Up to three regions side by side at the column's foot, where there is room for them."""
    by_uid = {each.view.sop_instance_uid: (view, each) for view, each in shown.items()}
    best = sorted(report.reading.findings, key=lambda finding: -finding.probability)[:_MOST]
    found = [(finding, *by_uid[uid]) for finding in best if (uid := finding.region.sop_instance_uid) in by_uid]
    if not found:
        return
    beside = (pen.space - (len(found) - 1) * _GAP) / len(found)
    side = round(min(_LARGEST, beside, pen.box[3] - pen.y - HEADING - _CAPTION))
    if side < _SMALLEST:
        return
    pen.y = pen.box[3] - HEADING - side - _CAPTION
    pen.heading("Closer, without marks")
    for index, (finding, view, one) in enumerate(found):
        left, crop = round(pen.box[0]) + index * (side + _GAP), _around(finding, one)
        grey = one.part(crop, (side, side))
        pen.card.paste(Image.merge("RGB", (grey, grey, grey)), (left, round(pen.y)))
        caption = f"{finding.lesion} · {view} · {round((crop[2] - crop[0]) * one.spacing_mm)} mm"
        at = (left, pen.y + side + 6)
        pen.draw.text(at, caption, font=_canvas.font(28), fill=_canvas.TEXT, anchor="la")


def _around(finding: Finding, shown: Shown) -> Box:
    """A square about the region, moved into the image."""
    region, view = finding.region, shown.view
    wanted = max(_SIDE_MM / shown.spacing_mm, 1.5 * max(region.right - region.left, region.bottom - region.top))
    side = min(wanted, float(view.columns), float(view.rows))
    column, row = region.center
    left = min(max(0.0, column - side / 2), view.columns - side)
    top = min(max(0.0, row - side / 2), view.rows - side)
    return left, top, left + side, top + side
