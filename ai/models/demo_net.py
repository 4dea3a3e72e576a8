"""The demonstration model: a small fully convolutional network with two saliency maps, in the manner of GMIC's
global module (Shen et al., Medical Image Analysis 2021), pooled to a view's score by its most salient cells.

Input: `_input.network_input`, 0.2 mm. Maps: soft tissue and calcification, one cell per 1.6 mm. A view's probability
is a logistic function of both maps' highest cells; a finding is a peak of a map with the region that belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ai.device import CPU, staged, together
from ai.findings import FindingType
from ai.geometry import Geometry
from ai.models import Candidate, ModelCard, Task, ViewOutput, Weights
from ai.models._input import CHANNELS, NetworkInput, network_input
from ai.models._peaks import candidates
from ai.models._threads import each_view
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
    weights_source="mammo-node train --synthetic",
)

#: Network input pixels per cell of a saliency map.
CELL = 8
#: The saliency maps, in order.
MAPS = (FindingType.SOFT_TISSUE, FindingType.CALCIFICATION_CLUSTER)
_HIGHEST_CELLS = 8  # of a map, 20 mm²: what a view's score looks at beside the peak


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
        self.pooled = nn.Linear(2 * len(MAPS), 1)
        nn.init.constant_(self.pooled.weight, 0.5 / len(MAPS))
        nn.init.zeros_(self.pooled.bias)

    def forward(self, values: Tensor) -> Tensor:
        """Saliency logits."""
        second = self.stage2(self.stage1(self.stem(values)))
        third = self.stage3(second)
        fourth = nn.functional.interpolate(self.stage4(third), scale_factor=2.0)
        upper = nn.functional.interpolate(self.lateral3(third) + fourth, scale_factor=2.0)
        logits: Tensor = self.head(self.lateral2(second) + upper)
        return logits

    @staticmethod
    def features(logits: Tensor, inside: Tensor) -> Tensor:
        """(n, 2, rows, columns) saliency logits, (n, rows, columns) breast → (n, 4): each map's peak, and the mean of

        its highest cells.
        """
        cells = smoothed(logits, inside).flatten(2)
        highest = cells.topk(min(_HIGHEST_CELLS, cells.shape[2]), dim=2).values
        return torch.cat((highest[:, :, 0], highest.mean(dim=2)), dim=1)

    def view_logit(self, features: Tensor) -> Tensor:
        """What `features` gives, (n, 4) → the view's logit, (n,). More suspicion on a map never lowers it."""
        logit: Tensor = nn.functional.linear(features, self.pooled.weight.clamp(min=0.0), self.pooled.bias).squeeze(1)
        return logit


def smoothed(logits: Tensor, inside: Tensor) -> Tensor:
    """Saliency logits averaged over 3 × 3 cells inside the breast; far below 0 outside it.

    logits: (n, 2, rows, columns). inside: (n, rows, columns), bool.
    """
    weights = inside[:, None].to(logits.dtype)
    total = nn.functional.avg_pool2d(logits * weights, 3, 1, 1)
    shares = nn.functional.avg_pool2d(weights, 3, 1, 1).clamp(min=1e-6)
    return torch.where(inside[:, None], total / shares, torch.full_like(logits, -20.0))


def cells_inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells that lie in the breast for the most part. mask: on the network's input grid."""
    rows, columns = mask.shape[0] // CELL, mask.shape[1] // CELL
    inside: NDArray[np.bool_] = mask.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3)) > 0.5
    return inside


def look(net: DemoNet, values: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float]:
    """Smoothed saliency logits (2, rows, columns) of one view, and the view's probability."""
    device = net.pooled.weight.device
    return _looked(net, [staged(values, device)], [staged(cells_inside(mask), device)])[0]


@torch.inference_mode()
def _looked(net: DemoNet, values: list[Tensor], inside: list[Tensor]) -> list[tuple[NDArray[np.float32], float]]:
    """Of views of one size what `look` says of one."""
    device = net.pooled.weight.device
    batch, breast = together(values, device).contiguous(memory_format=torch.channels_last), together(inside, device)
    logits = net(batch).float()
    views = net.view_logit(net.features(logits, breast)).tolist()
    probabilities = [float(1.0 / (1.0 + np.exp(-np.float64(logit)))) for logit in views]
    return list(zip(smoothed(logits, breast).cpu().numpy(), probabilities, strict=True))


def detect_one(net: DemoNet, prepared: NetworkInput) -> ViewOutput:
    """What the network says of one view."""
    return _view_output(*look(net, prepared.values, prepared.mask), prepared.geometry)


def _view_output(salient: NDArray[np.float32], probability: float, geometry: Geometry) -> ViewOutput:
    geometry = geometry.cells(CELL)
    suspicion = (1.0 / (1.0 + np.exp(-salient))).astype(np.float32)
    return ViewOutput(
        probability=probability,
        suspicion=np.asarray(suspicion.max(axis=0)),
        geometry=geometry,
        candidates=_candidates(suspicion, geometry),
    )


@dataclass(frozen=True, slots=True, eq=False)
class DemoView:
    """A view ready for the network. values: (2, rows, columns), inside: of its cells, both staged for the device."""

    values: Tensor
    inside: Tensor
    geometry: Geometry


class DemoModel:
    """The network with its weights, in evaluation mode, float32."""

    def __init__(self, net: DemoNet) -> None:
        self.net = net.eval()
        self._device = net.pooled.weight.device

    def prepare(self, view: BreastImage) -> DemoView:
        """The view on the network's grid."""
        prepared = network_input(view)
        inside = staged(cells_inside(prepared.mask), self._device)
        return DemoView(staged(prepared.values, self._device), inside, prepared.geometry)

    def answer(self, inputs: Sequence[DemoView]) -> list[ViewOutput]:
        """On the CPU a thread for each view; on CUDA those of one size together (most sizes differ)."""
        if self._device.type == "cpu":
            return each_view(self._answer_one, inputs)
        answers: dict[int, ViewOutput] = {}
        for numbers in _by_size(inputs):
            answers |= zip(numbers, self._answer_together([inputs[number] for number in numbers]), strict=True)
        return [answers[number] for number in range(len(inputs))]

    def _answer_one(self, view: DemoView) -> ViewOutput:
        return self._answer_together([view])[0]

    def _answer_together(self, views: Sequence[DemoView]) -> list[ViewOutput]:
        looked = _looked(self.net, [view.values for view in views], [view.inside for view in views])
        return [_view_output(*found, view.geometry) for view, found in zip(views, looked, strict=True)]


def _by_size(inputs: Sequence[DemoView]) -> list[list[int]]:
    """The numbers of the views, those of one size together."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for number, view in enumerate(inputs):
        sizes.setdefault(tuple(view.values.shape), []).append(number)
    return list(sizes.values())


def build(card: ModelCard, weights: Weights, device: torch.device = CPU) -> DemoModel:
    """The model with these weights. Raises ValueError when they do not fit."""
    net = DemoNet()
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {card.module}: {error}") from error
    return DemoModel(net.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]


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
