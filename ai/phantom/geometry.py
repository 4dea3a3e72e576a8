"""From breast coordinates to the plane of a view: outlines, distances from the skin, projection.

The plane of a view is in mm: x from the chest-wall edge towards the nipple, v upwards from nipple level
(CC: lateral is up; MLO: the upper outer side is up). A canvas is the part of that plane that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.phantom.anatomy import Breast, Lesion, Woman
from ai.phantom.noise import COARSEST_MM, Field, Points, resampled, stream

_GRID_MM = 1.6  # of the skin distance; cubic interpolation makes it good to some hundredths of a mm
_SKIN_STEP_MM = 0.25
_SNAP_MM = 0.4
_NIPPLE_MM = (3.2, 4.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One positioning of one breast for one view, in one round.

    image_top_mm, top_mm: v of the upper edges of the image and of the canvas. width_mm, height_mm: of the canvas,
    multiples of COARSEST_MM. The canvas belongs to the breast, so that its texture stays when she stands differently.
    skin_distance: mm, inside > 0, on a coarse grid over the canvas; the nipple is not included.
    """

    breast: Breast
    view_position: ViewPosition
    oblique_angle_deg: float
    image_top_mm: float
    top_mm: float
    width_mm: float
    height_mm: float
    skin_distance: Field = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "skin_distance", self._skin_distance())

    def skin_x(self, v: Points) -> Points:
        """x of the skin line at each v; 0 above and below the breast."""
        breast = self.breast
        if self.view_position is ViewPosition.CC:
            half = np.where(v > 0, breast.lateral_mm, breast.medial_mm)
            t = np.clip(np.abs(v) / half, 0, 1)
            tail = np.where(v > 0, 0.05 * np.exp(-(((t - 0.75) / 0.2) ** 2)) * (1 - t), 0)
            return breast.depth_mm * ((1 - t**2.1) ** breast.bluntness + tail)
        below = np.clip(-v / breast.lower_mm, 0, 1)
        above = np.clip(v / breast.upper_mm, 0, 2)
        # full round the nipple, then an even slope up to the axilla, which runs on beyond the picture
        upper = breast.waist + (1 - breast.waist) * (0.5 + 0.5 * np.cos(np.pi * np.minimum(above / 1.15, 1) ** 1.25))
        upper = upper - 0.08 * np.clip(above - 0.8, 0, None)
        lower = (1 - below**2.2) ** (breast.bluntness * 0.95)
        result: Field = breast.depth_mm * np.where(v > 0, upper, lower)
        return result

    def projected(self, depth: Points, lateral: Points, superior: Points) -> tuple[Points, Points]:
        """(x, v) in mm of points in breast coordinates."""
        breast = self.breast
        x = depth * breast.depth_mm
        if self.view_position is ViewPosition.CC:
            return x, lateral * np.where(lateral > 0, breast.lateral_mm, breast.medial_mm)
        angle = np.deg2rad(self.oblique_angle_deg)
        along = lateral * np.cos(angle) + superior * np.sin(angle)
        return x, along * np.where(along > 0, breast.upper_mm * 0.8, breast.lower_mm)

    def lesion_at(self, lesion: Lesion) -> tuple[float, float]:
        """(x, v) in mm of a lesion's middle, kept a little inside the skin."""
        x, v = self.projected(*(np.array([part]) for part in (lesion.depth, lesion.lateral, lesion.superior)))
        room = self.skin_x(v) - lesion.diameter_mm / 2 - 3.0
        return float(np.clip(x, 4.0, np.maximum(room, 4.0))[0]), float(v[0])

    def _skin_distance(self) -> Field:
        v_dense = np.arange(self.top_mm + 20, self.top_mm - self.height_mm - 20, -0.02)
        x_dense = self.skin_x(v_dense)
        there = x_dense > 0
        # Evenly spaced points along the skin, however steep it runs to the chest wall.
        way = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x_dense[there]), np.diff(v_dense[there])))))
        even = np.arange(0, way[-1], _SKIN_STEP_MM)
        skin = np.stack((np.interp(even, way, x_dense[there]), np.interp(even, way, v_dense[there])), axis=1)
        tree = cKDTree(skin)
        columns = np.arange(0, self.width_mm + _GRID_MM, _GRID_MM)
        v_rows = self.top_mm - np.arange(0, self.height_mm + _GRID_MM, _GRID_MM)
        grid = np.stack(np.broadcast_arrays(columns[None, :], v_rows[:, None]), axis=-1)
        distance = np.asarray(tree.query(grid.reshape(-1, 2))[0])
        inside = grid[..., 0] < self.skin_x(v_rows)[:, None]
        return np.where(inside, 1, -1).astype(np.float32) * distance.reshape(inside.shape).astype(np.float32)

    def axes(self, pitch_mm: float) -> tuple[Field, Field]:
        """(x of the columns, v of the rows) of the canvas's pixel centres, mm, as a row and a column vector."""
        x = (np.arange(round(self.width_mm / pitch_mm)) + 0.5) * pitch_mm
        v = self.top_mm - (np.arange(round(self.height_mm / pitch_mm)) + 0.5) * pitch_mm
        return x.astype(np.float32)[None, :], v.astype(np.float32)[:, None]

    def distance_at(self, x: Field, v: Field) -> Field:
        """The distance from the skin, nipple included, at an outer grid of x (1 × n) and v (m × 1)."""
        rows, columns = (self.top_mm - v[:, 0]) / _GRID_MM, x[0] / _GRID_MM
        return _with_nipple(resampled(self.skin_distance, rows, columns), self.breast, x, v)


def _with_nipple(distance: Field, breast: Breast, x: Field, v: Field) -> Field:
    """The skin distance with the nipple in profile added."""
    length, half_width = _NIPPLE_MM
    near = (np.abs(x - breast.depth_mm) < 2 * length) & (np.abs(v) < 4 * half_width)
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if rows.size == 0 or columns.size == 0:
        return distance
    part = np.ix_(rows, columns)
    dx = (x[:, columns] - breast.depth_mm + 1.0) / length
    dv = v[rows] / half_width
    nipple = (1 - np.sqrt(dx**2 + dv**2)) * half_width
    # A smooth union: the areola rises into the nipple.
    gap = np.clip(0.5 + 0.5 * (nipple - distance[part]) / 3.5, 0, 1)
    out = distance.copy()
    out[part] = distance[part] * (1 - gap) + nipple * gap + 3.5 * gap * (1 - gap)
    return out


def placed(
    woman: Woman, standard_view: StandardView, *, height_mm: float, width_mm: float, moment: tuple[int, int]
) -> Placement:
    """How she stood at the machine: the canvas is the part of the detector field that the breast can reach.

    moment: (rounds ago, repeat); she never stands quite the same twice.
    """
    breast = woman.breast(standard_view.image_laterality)
    rng = stream(woman.seed, "position", standard_view, *moment)
    # Whole multiples of the coarsest tissue grid keep image and canvas pixels aligned.
    shift = round(float(rng.normal(0, 4.0)) / _SNAP_MM) * _SNAP_MM
    if standard_view.view_position is ViewPosition.CC:
        top_mm = _snapped(breast.lateral_mm + 6.0)
        bottom_mm = -breast.medial_mm - 6.0
        image_top_mm = top_mm + _snapped((height_mm - top_mm + bottom_mm) / 2) + shift
    else:
        # The fold stays in the picture, a little above the lower edge; the axilla reaches the upper one.
        top_mm = _snapped(height_mm - breast.lower_mm)
        bottom_mm = -breast.lower_mm - 6.0
        image_top_mm = top_mm - max(_snapped(0.05 * height_mm) + shift, 4.0)
    reach = min(width_mm, breast.depth_mm + _NIPPLE_MM[0] + 6.0)
    return Placement(
        breast=breast,
        view_position=standard_view.view_position,
        oblique_angle_deg=woman.oblique_angle_deg + float(rng.normal(0, 2.0)),
        image_top_mm=image_top_mm,
        top_mm=top_mm,
        width_mm=float(np.ceil(reach / COARSEST_MM) * COARSEST_MM),
        height_mm=float(np.ceil((top_mm - bottom_mm) / COARSEST_MM) * COARSEST_MM),
    )


def _snapped(length_mm: float) -> float:
    return round(length_mm / _SNAP_MM) * _SNAP_MM


def is_right(standard_view: StandardView) -> bool:
    """Whether the chest wall lies at the right edge of the image."""
    return standard_view.image_laterality is ImageLaterality.RIGHT
