"""The images that the card shows, each turned as it hangs. Positions are in stored-image pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View, ViewPosition
from ai.findings import Finding, ViewAssessment
from node.results import Report, _document
from node.results._canvas import Box

_BACKGROUND_LEVEL = 24  # of a preview; darker is air
_USUAL_SPACING_MM = 0.07


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An image for one place of the hanging. crop: what of the stored image is shown; flips: to the hanging."""

    view: View
    picture: Image.Image
    crop: Box
    flip_x: bool
    flip_y: bool
    is_read: bool

    @property
    def spacing_mm(self) -> float:
        """Size of a stored pixel; a usual one where the image does not say."""
        return (self.view.imager_pixel_spacing_mm or (_USUAL_SPACING_MM, _USUAL_SPACING_MM))[0]

    @property
    def is_turned(self) -> bool:
        """Whether letters burned into the image are mirrored or upside down on the card."""
        return self.flip_x or self.flip_y

    def part(self, crop: Box, size: tuple[int, int]) -> Image.Image:
        """A part of the image in grey, turned to the hanging."""
        return self.resized(self.picture, crop, size, Image.Resampling.LANCZOS)

    def resized(
        self, picture: Image.Image, crop: Box, size: tuple[int, int], resampling: Image.Resampling
    ) -> Image.Image:
        """A part of any picture that covers the whole stored image, turned to the hanging."""
        across, down = picture.width / self.view.columns, picture.height / self.view.rows
        left, top, right, bottom = crop
        result = picture.resize(size, resampling, box=(left * across, top * down, right * across, bottom * down))
        if self.flip_x:
            result = ImageOps.mirror(result)
        return ImageOps.flip(result) if self.flip_y else result


def shown_views(report: Report) -> dict[StandardView, Shown]:
    """What there is to show for the four standard views."""
    return {view: found for view in STANDARD_VIEWS if (found := _shown(report, view)) is not None}


def _shown(report: Report, standard_view: StandardView) -> Shown | None:
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
    return Shown(
        view=view,
        picture=picture,
        crop=_crop(view, picture, outlines, report.reading.findings),
        flip_x=flip_x,
        flip_y=flip_y,
        is_read=view.sop_instance_uid in read,
    )


def _flips(source: Dataset, view: StandardView, picture: Image.Image) -> tuple[bool, bool]:
    """Whether the image must be mirrored, and turned upside down, to hang as is usual: from Patient Orientation.

    A hanging right breast points to the left (its rows run posterior), a left one to the right; the lateral
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


def _crop(view: View, picture: Image.Image, outlines: Sequence[ViewAssessment], findings: Sequence[Finding]) -> Box:
    """The breast with a little air and every mark on it; without an outline, all that is not dark."""
    points = [point for outline in outlines for point in outline.breast_outline]
    if not points:
        left, top, right, bottom = _bright(picture)
        across, down = view.columns / picture.width, view.rows / picture.height
        points = [(left * across, top * down), (right * across, bottom * down)]
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


def _bright(picture: Image.Image) -> tuple[int, int, int, int]:
    """Bounds of what is not background, in pixels of the preview; all of it where nothing is."""
    mask = picture.point([255 if level > _BACKGROUND_LEVEL else 0 for level in range(256)])
    return mask.getbbox() or (0, 0, picture.width, picture.height)
