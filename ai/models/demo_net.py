"""The demonstration model: a small fully convolutional network with two saliency maps, in the manner of GMIC's
global module (Shen et al., Medical Image Analysis 2021), pooled to a view's score by its most salient cells.

Input: `_input.network_input`, 0.2 mm. Maps: soft tissue and calcification, one cell per 1.6 mm. A view's probability
is a logistic function of both maps' peaks; a finding is a peak of a map with the region that belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from ai.exam import StandardView
from ai.findings import FindingType
from ai.geometry import Geometry
from ai.models import Candidate, ModelCard, Task, ViewOutput, Weights
from ai.models._input import CHANNELS, NetworkInput, network_input
from ai.models._peaks import candidates
from ai.pixels import BreastImage

CARD = ModelCard(
    module="demo_net",
    name="mammo-node demonstration model",
    version="1",
    manufacturer="mammo-node",
    task=Task.DETECTION,
    intended_use="To show the node at work. It reads no patient's exam: it has never seen one.",
    labelling="Demonstration. Trained on synthetic images. Not for clinical use.",
    licence="as this software",
    training_data="Synthetic screening exams drawn by this software (ai.phantom); no patient data.",
    pitch_mm=0.2,
    tone="as stored; centred and scaled by the breast's own values",
    labels=("malignant soft tissue lesion", "malignant calcification cluster"),
    calibrated=False,
    finding_threshold=0.5,
    weights_source="python -m ai.training",
)

#: Network input pixels per cell of a saliency map.
CELL = 8
#: The saliency maps, in order.
MAPS = (FindingType.SOFT_TISSUE, FindingType.CALCIFICATION_CLUSTER)


def _layer(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class DemoNet(nn.Module):
    """(n, 2, rows, columns) → saliency logits (n, 2, rows / 8, columns / 8); sides are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _layer(CHANNELS, 16, size=5, stride=2)
        self.stage1 = nn.Sequential(_layer(16, 24, stride=2), _layer(24, 24))
        self.stage2 = nn.Sequential(_layer(24, 48, stride=2), _layer(48, 48), _layer(48, 48))
        self.stage3 = nn.Sequential(_layer(48, 64, stride=2), _layer(64, 64), _layer(64, 64))
        self.stage4 = nn.Sequential(_layer(64, 64, stride=2), _layer(64, 64))
        self.lateral2, self.lateral3 = nn.Conv2d(48, 64, 1), nn.Conv2d(64, 64, 1)
        self.head = nn.Sequential(_layer(64, 64), nn.Conv2d(64, len(MAPS), 1))
        self.pooled = nn.Linear(len(MAPS), 1)

    def forward(self, values: Tensor) -> Tensor:
        """Saliency logits."""
        second = self.stage2(self.stage1(self.stem(values)))
        third = self.stage3(second)
        fourth = nn.functional.interpolate(self.stage4(third), scale_factor=2.0)
        upper = nn.functional.interpolate(self.lateral3(third) + fourth, scale_factor=2.0)
        logits: Tensor = self.head(self.lateral2(second) + upper)
        return logits

    def view_logit(self, peaks: Tensor) -> Tensor:
        """Peak logits of the maps, (n, 2) → the view's logit, (n,)."""
        logit: Tensor = self.pooled(peaks).squeeze(1)
        return logit


def smooth(logits: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Saliency logits (2, rows, columns), averaged over 3 × 3 cells inside the breast; far below 0 outside it.

    mask: the breast on the network's input grid.
    """
    cells = mask.reshape(logits.shape[1], CELL, logits.shape[2], CELL).mean(axis=(1, 3)) > 0.5
    weights = np.maximum(ndimage.uniform_filter(cells.astype(np.float32), 3, mode="constant"), 1e-6)
    total = ndimage.uniform_filter(np.where(cells, logits, 0.0), (0, 3, 3), mode="constant")
    return np.where(cells, total / weights, -20.0).astype(np.float32)


def peaks(smoothed: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maximum of each map."""
    return np.asarray(smoothed.max(axis=(1, 2)), dtype=np.float32)


@torch.inference_mode()
def view_probability(net: DemoNet, smoothed: NDArray[np.float32]) -> float:
    """A view's probability from its smoothed saliency logits."""
    logit = float(net.view_logit(torch.from_numpy(peaks(smoothed)[None])))
    return float(1.0 / (1.0 + np.exp(-np.float64(logit))))


class DemoModel:
    """The network with its weights, in evaluation mode, float32."""

    def __init__(self, net: DemoNet) -> None:
        self.net = net.eval()

    @torch.inference_mode()
    def detect(self, views: Mapping[StandardView, BreastImage]) -> dict[StandardView, ViewOutput]:
        """One output per view. The views are of different sizes, so each goes through the network alone."""
        return {standard: self._detect_one(network_input(image)) for standard, image in views.items()}

    def _detect_one(self, prepared: NetworkInput) -> ViewOutput:
        batch = torch.from_numpy(prepared.values[None]).contiguous(memory_format=torch.channels_last)
        smoothed = smooth(self.net(batch)[0].numpy(), prepared.mask)
        geometry = prepared.geometry.cells(CELL)
        suspicion = (1.0 / (1.0 + np.exp(-smoothed))).astype(np.float32)
        return ViewOutput(
            probability=view_probability(self.net, smoothed),
            suspicion=np.asarray(suspicion.max(axis=0)),
            geometry=geometry,
            candidates=_candidates(suspicion, geometry),
        )


def build(card: ModelCard, weights: Weights) -> DemoModel:
    """The model with these weights. Raises ValueError when they do not fit."""
    net = DemoNet()
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {card.module}: {error}") from error
    return DemoModel(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def fresh(seed: int) -> Weights:
    """Untrained weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DemoNet().state_dict()


def _candidates(suspicion: NDArray[np.float32], geometry: Geometry) -> tuple[Candidate, ...]:
    """Peaks of both maps, the highest first."""
    found = [
        candidate
        for finding_type, salient in zip(MAPS, suspicion, strict=True)
        for candidate in candidates(salient, geometry, finding_type)
    ]
    return tuple(sorted(found, key=lambda candidate: -candidate.probability))
