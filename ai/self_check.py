"""What a model must answer before it may serve: expected outputs on made-up images, compared on the device at hand.

The images are drawn by integer arithmetic alone, so they are the same everywhere and need not be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ai.decoding import StoredImage
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View
from ai.models import CompositionModel, DetectionModel, Task, ViewOutput, detect
from ai.pixels import BreastImage, read_breast

_ROWS, _COLUMNS, _SPACING_MM, _MAX = 1200, 960, 0.1, 4095


class SelfCheckFailed(Exception):
    """A model does not answer here as it did where it was made; it must not serve."""


class SelfCheck(BaseModel):
    """expected: per standard view its probability and highest suspicion (detection), or per composition a–d.

    tolerance: absolute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: Mapping[str, float]
    tolerance: float = 1e-3


def answers(model: DetectionModel | CompositionModel, task: Task) -> dict[str, float]:
    """The model's outputs on the made-up images, named as in `SelfCheck.expected`."""
    views = sample_views()
    if task is Task.DETECTION:
        return told(detect(cast("DetectionModel", model), views))
    return dict(zip("abcd", map(float, cast("CompositionModel", model).assess(views)), strict=True))


def told(outputs: Mapping[StandardView, ViewOutput]) -> dict[str, float]:
    """A detection model's outputs, named as in `SelfCheck.expected`."""
    found = {str(standard): float(output.probability) for standard, output in outputs.items()}
    return found | {f"{standard} peak": float(output.suspicion.max()) for standard, output in outputs.items()}


def largest_difference(check: SelfCheck, found: Mapping[str, float]) -> float:
    """The largest absolute difference; infinite when an output is missing or no number."""
    differences = [abs(found.get(name, float("nan")) - value) for name, value in check.expected.items()]
    return float("inf") if not differences or np.isnan(differences).any() else max(differences)


def sample_views() -> dict[StandardView, BreastImage]:
    """Four small made-up images: a half ellipse with texture, a bright disc and a few bright dots."""
    return {standard: _sample_view(number, standard) for number, standard in enumerate(STANDARD_VIEWS, 1)}


def _sample_view(number: int, standard: StandardView) -> BreastImage:
    values = _half_ellipse(number)
    if standard.image_laterality is ImageLaterality.RIGHT:
        values = np.ascontiguousarray(values[:, ::-1])
    view = View(
        sop_instance_uid=f"2.25.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
        series_instance_uid="2.25.10",
        study_instance_uid="2.25.11",
        modality="MG",
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        photometric_interpretation="MONOCHROME2",
        rows=_ROWS,
        columns=_COLUMNS,
        bits_allocated=16,
        bits_stored=12,
        imager_pixel_spacing_mm=(_SPACING_MM, _SPACING_MM),
    )
    return read_breast(view, StoredImage(view.sop_instance_uid, values, _MAX, ""))


def _half_ellipse(number: int) -> NDArray[np.uint16]:
    row, column = np.mgrid[0:_ROWS, 0:_COLUMNS].astype(np.int64)
    texture = ((row // 16 * 7919 + column // 16 * 104729 + number * 1299709) * 2654435761 >> 12) % 400
    values = 1200 + texture
    disc = (row - 500 - 40 * number) ** 2 + (column - 300) ** 2 < (20 * number) ** 2
    dots = ((row - 800) ** 2 + (column - 400) ** 2 < 60**2) & (row % 24 < 3) & (column % 20 < 3)
    values = values + 500 * disc + 900 * dots
    breast = (row - 600) ** 2 * 700**2 + column**2 * 550**2 < 550**2 * 700**2
    return np.where(breast, np.minimum(values, _MAX), 0).astype(np.uint16)
