"""Breast composition a–d from the grey-level histograms of the four views: the published two-layer network of
Wu et al., "Breast density classification with deep convolutional neural networks", ICASSP 2018.

Its images were 8-bit, 2600 × 2000 pixels. Such an image passes unchanged. Any other is brought there: the breast on
a 0.1 mm grid, its 2nd and 99.8th percentile put at 23 and 255 (where they lie in the published sample exam), the rest
of 2600 × 2000 pixels background. That is an approximation; on other systems than its own the answer is indicative.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ai.device import CPU
from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.models import ModelCard, Task, Weights
from ai.pixels import BreastImage

CARD = ModelCard(
    module="breast_density",
    name="NYU breast density, histogram model",
    version="334b14d",
    manufacturer="New York University (published network)",
    task=Task.COMPOSITION,
    intended_use="Research. Breast composition (BI-RADS a–d) of a screening exam.",
    labelling="Research model. Breast composition not for clinical use.",
    licence="BSD-2-Clause",
    training_data="More than 200,000 screening exams of NYU, as 8-bit images of 2600 × 2000 pixels (Wu et al., 2018).",
    pitch_mm=0.1,
    tone="8-bit images as stored; others: 2nd and 99.8th percentile of the breast to 23 and 255",
    labels=("a", "b", "c", "d"),
    weights_source="histogram model of github.com/nyukat/breast_density_classifier at 334b14d",
)

_BINS = 50
_PUBLISHED_SHAPE = (2600, 2000)
_PITCH_MM = 0.1
_TONE = ((2.0, 23.0), (99.8, 255.0))
#: The order in which the network was trained to see the views.
_ORDER = tuple(
    StandardView(laterality, position)
    for position in (ViewPosition.CC, ViewPosition.MLO)
    for laterality in (ImageLaterality.LEFT, ImageLaterality.RIGHT)
)


class HistogramNet(nn.Module):
    """(n, 200) histogram shares → logits (n, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(len(_ORDER) * _BINS, 100), nn.Linear(100, 4)

    def forward(self, features: Tensor) -> Tensor:
        """Logits of a–d."""
        logits: Tensor = self.fc2(torch.relu(self.fc1(features)))
        return logits


class DensityModel:
    """The network with its weights."""

    def __init__(self, net: HistogramNet) -> None:
        self._net = net.eval()
        self._device = net.fc1.weight.device

    def assess(self, views: Mapping[StandardView, BreastImage]) -> tuple[float, float, float, float]:
        """Probabilities of a, b, c and d. Raises KeyError when one of the four views is missing."""
        return self.from_features(np.concatenate([histogram(counts(views[standard])) for standard in _ORDER]))

    @torch.inference_mode()
    def from_features(self, features: NDArray[np.float64]) -> tuple[float, float, float, float]:
        """Probabilities from 200 histogram shares: 50 each of L CC, R CC, L MLO and R MLO."""
        logits = self._net(torch.from_numpy(features.astype(np.float32))[None].to(self._device))
        a, b, c, d = torch.softmax(logits, dim=1)[0].tolist()
        return a, b, c, d


def build(card: ModelCard, weights: Weights, device: torch.device = CPU) -> DensityModel:
    """The model with these weights. Raises ValueError when they do not fit."""
    net = HistogramNet()
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {card.module}: {error}") from error
    return DensityModel(net.to(device))


def fresh(seed: int) -> Weights:
    """Untrained weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HistogramNet().state_dict()


def histogram(grey_counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of pixels in 50 even bins between the darkest and the brightest grey; from counts per grey level."""
    greys = np.flatnonzero(grey_counts)
    edges = (float(greys[0]), float(greys[-1]))
    shares, _ = np.histogram(np.arange(len(grey_counts)), bins=_BINS, range=edges, weights=grey_counts)
    return np.asarray(shares / grey_counts.sum(), dtype=np.float64)


def counts(view: BreastImage) -> NDArray[np.float64]:
    """Pixels per 8-bit grey level of the image as the network knows it, shape (256,)."""
    image = view.image
    if image.values.shape == _PUBLISHED_SHAPE and image.max_value == 255:
        return np.bincount(image.values.ravel(), minlength=256).astype(np.float64)
    values, mask = view.on_grid(view.geometry(_PITCH_MM))
    breast = values[mask]
    if image.max_value > 255:
        breast = _to_8_bit(breast)
    found = np.bincount(np.clip(np.rint(breast), 0, 255).astype(np.uint8), minlength=256).astype(np.float64)
    found[0] += max(0.0, float(np.prod(_PUBLISHED_SHAPE)) - float(mask.sum()))
    return found


def _to_8_bit(breast: NDArray[np.float32]) -> NDArray[np.float32]:
    (low_share, low_grey), (high_share, high_grey) = _TONE
    low, high = np.percentile(breast, (low_share, high_share))
    scale = (high_grey - low_grey) / max(float(high - low), 1e-6)
    return np.asarray((breast - low) * scale + low_grey, dtype=np.float32)
