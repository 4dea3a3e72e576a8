"""Image Library entries: TID 4020 (mammography CAD) and TID 1602 with 1603 (measurement report) share their rows.

What a header lacks is left out; whatever it has is filled in, for viewers hang by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset

from ai import elements
from ai.exam import ImageLaterality, View
from node.results import _codes, _sr
from node.results._codes import Code

_CONTEXT = "HAS ACQ CONTEXT"


def entry(source: Dataset, sides: Mapping[ImageLaterality, Code], *, with_matrix_size: bool) -> Dataset:
    """The IMAGE item of `source` with its acquisition context. sides: codes of CID 6022 (CAD) or CID 244."""
    view = View.from_dataset(source)
    children = []
    if view.image_laterality is not None:
        children.append(_sr.code(_codes.IMAGE_LATERALITY, sides[view.image_laterality], _CONTEXT))
    children += _view(source, view)
    children += _orientation(source)
    children += _moments(source)
    if view.imager_pixel_spacing_mm is not None:
        vertical, horizontal = view.imager_pixel_spacing_mm
        children.append(_number(_codes.HORIZONTAL_SPACING, horizontal, _codes.MILLIMETER))
        children.append(_number(_codes.VERTICAL_SPACING, vertical, _codes.MILLIMETER))
    children += _positioner_angle(source)
    if with_matrix_size and view.rows and view.columns:
        children.append(_number(_codes.PIXEL_ROWS, view.rows, _codes.PIXELS))
        children.append(_number(_codes.PIXEL_COLUMNS, view.columns, _codes.PIXELS))
    return _sr.add(_sr.image(source), children)


def _number(concept: Code, value: float, unit: Code) -> Dataset:
    return _sr.num(concept, f"{value:.6g}", unit, _CONTEXT)


def _view(source: Dataset, view: View) -> list[Dataset]:
    """Row 111031 with its modifiers, as SCT codes; a view in another scheme than SCT is left out unless standard."""
    view_codes = elements.items(source, "ViewCodeSequence")
    if view.view_position is not None:
        value = _codes.VIEWS[view.view_position]
    elif len(view_codes) == 1 and (copied := _sct(view_codes[0])):
        value = copied
    else:
        return []
    holders = (*view_codes, source)
    modifiers = [_sct(item) for holder in holders for item in elements.items(holder, "ViewModifierCodeSequence")]
    children = [_sr.code(_codes.IMAGE_VIEW_MODIFIER, m, "HAS CONCEPT MOD") for m in modifiers if m is not None]
    return [_sr.add(_sr.code(_codes.IMAGE_VIEW, value, _CONTEXT), children)]


def _sct(item: Dataset) -> Code | None:
    code = Code(elements.code_value(item), "SCT", elements.text(item, "CodeMeaning"))
    return code if elements.text(item, "CodingSchemeDesignator") == "SCT" and all(code) else None


def _orientation(source: Dataset) -> list[Dataset]:
    directions = elements.texts(source, "PatientOrientation")
    if len(directions) != 2 or not all(directions):
        return []
    row, column = directions
    return [
        _sr.text(_codes.ORIENTATION_ROW, row, _CONTEXT),
        _sr.text(_codes.ORIENTATION_COLUMN, column, _CONTEXT),
    ]


def _moments(source: Dataset) -> list[Dataset]:
    found = []
    for concept, keyword in ((_codes.STUDY_DATE, "StudyDate"), (_codes.CONTENT_DATE, "ContentDate")):
        if value := elements.date(source, keyword):
            found.append(_sr.item("DATE", concept, _CONTEXT))
            found[-1].Date = value
    for concept, keyword in ((_codes.STUDY_TIME, "StudyTime"), (_codes.CONTENT_TIME, "ContentTime")):
        if value := elements.time(source, keyword):
            found.append(_sr.item("TIME", concept, _CONTEXT))
            found[-1].Time = value
    return found


def _positioner_angle(source: Dataset) -> list[Dataset]:
    try:
        angle = float(elements.text(source, "PositionerPrimaryAngle"))
    except ValueError:
        return []
    return [_number(_codes.POSITIONER_ANGLE, angle, _codes.DEGREE)] if -360 <= angle <= 360 else []
