"""Suspicion on a model's grid → a coarse grid over the whole stored image."""

from __future__ import annotations

import numpy as np

from ai.findings import HeatMap
from ai.geometry import Points
from ai.reading import ReadView

_LONGER_SIDE = 128


def heat_map(view: ReadView) -> HeatMap:
    """The suspicion under the middle of each cell; 0 where the model did not look."""
    height, width = view.source.image.values.shape
    step = max(height, width) / _LONGER_SIDE
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    geometry, suspicion = view.output.geometry, view.output.suspicion
    stored_columns = (np.arange(columns) + 0.5) * width / columns
    stored_rows = (np.arange(rows) + 0.5) * height / rows
    j = np.floor(geometry.to_model(_pairs(stored_columns, 0))[:, 0]).astype(int)
    i = np.floor(geometry.to_model(_pairs(stored_rows, 1))[:, 1]).astype(int)
    inside = np.outer((i >= 0) & (i < geometry.rows), (j >= 0) & (j < geometry.columns))
    picked = suspicion[np.ix_(np.clip(i, 0, geometry.rows - 1), np.clip(j, 0, geometry.columns - 1))]
    values = np.where(inside, np.clip(picked, 0.0, 1.0) * 255.0 + 0.5, 0.0).astype(np.uint8)
    return HeatMap(
        sop_instance_uid=view.source.view.sop_instance_uid, rows=rows, columns=columns, values=values.tobytes()
    )


def _pairs(values: Points, axis: int) -> Points:
    points = np.zeros((len(values), 2))
    points[:, axis] = values
    return points
