"""The published exam and the seeded weights with which a reference network's answers on it are known."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEGLosslessSV1

from ai.exam import STANDARD_VIEWS, StandardView
from ai.phantom.encoding import set_pixels
from tests import support_exams
from tests.support import shared_data


@cache
def reference() -> dict[str, Any]:
    """By view as "L-CC": scores, patch corners, attention; under "saliency" the maps, (2, 46, 30)."""
    views = dict(json.loads((shared_data("gmic") / "seeded_reference.json").read_text())["views"])
    with np.load(shared_data("gmic") / "seeded_reference.npz") as maps:
        for name, view in views.items():
            view["saliency"] = maps[f"saliency_{name}"]
    return views


def of(standard: StandardView) -> dict[str, Any]:
    """The reference's answers on one view."""
    return dict(reference()[named(standard)])


def named(standard: StandardView) -> str:
    """As the published files name it."""
    return f"{standard.image_laterality}-{standard.view_position}"


def shapes() -> dict[str, tuple[int, ...]]:
    """The published parameters' names and shapes."""
    content = json.loads((shared_data("gmic") / "gmic_state_dict_shapes.json").read_text())
    return {name: tuple(shape) for name, shape in content.items()}


def seeded_state(salt: str = "mg-v1") -> dict[str, torch.Tensor]:
    """Weights of the published layout that are the same everywhere."""
    path = shared_data("gmic") / "seeded_weights.py"
    spec = importlib.util.spec_from_file_location("seeded_weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.seeded_state(shapes(), salt))


def picture(standard: StandardView, folder: str = "exam0") -> NDArray[np.uint16]:
    """A 16-bit picture of the exam: as the hospital stored it, or "exam0/preprocessed" by the authors."""
    return np.asarray(Image.open(shared_data("gmic") / folder / f"0_{named(standard)}.png"), dtype=np.uint16)


def write_exam(folder: Path) -> dict[StandardView, Path]:
    """The exam as four Digital Mammography X-Ray Images, JPEG Lossless, 12 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, standard in enumerate(STANDARD_VIEWS, 1):
        values = picture(standard)
        dataset = support_exams.view(number, str(standard.image_laterality), str(standard.view_position))
        dataset.Rows, dataset.Columns = values.shape
        set_pixels(dataset, values, JPEGLosslessSV1)  # type: ignore[arg-type]
        files[standard] = folder / f"{named(standard)}.dcm"
        files[standard].write_bytes(support_exams.as_file(dataset))
    return files
