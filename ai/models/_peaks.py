"""Peaks of a map of suspicion → candidates: each peak with the box round the region that belongs to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ai.findings import FindingType
from ai.geometry import Geometry
from ai.models import Candidate

_MOST_CANDIDATES = 4
_LEAST_PEAK = 0.05
_REGION_SHARE = 0.6  # a candidate's region: connected cells above this share of its height over what is usual
_BORDER_CELLS = 1
_NOTHING = 1e-6  # outside the breast


def candidates(suspicion: NDArray[np.float32], geometry: Geometry, finding_type: FindingType) -> list[Candidate]:
    """At most four of one map, the highest first. suspicion: 0–1, (rows, columns) of `geometry`."""
    found = []
    rest = suspicion.copy()
    inside = suspicion[suspicion > _NOTHING]
    usual = float(np.median(inside)) if inside.size else 0.0
    for _ in range(_MOST_CANDIDATES):
        row, column = np.unravel_index(int(rest.argmax()), rest.shape)
        peak = float(rest[row, column])
        if peak <= max(_LEAST_PEAK, usual):
            break
        labels, _ = ndimage.label(rest >= usual + _REGION_SHARE * (peak - usual))
        region = labels == labels[row, column]
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        found.append(Candidate(geometry.box_to_stored(box), finding_type, peak))
        rest[ndimage.binary_dilation(region, iterations=_BORDER_CELLS)] = 0.0
    return found
