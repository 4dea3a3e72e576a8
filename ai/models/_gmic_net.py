"""The network of Shen et al., "An interpretable classifier for high-resolution breast cancer screening images utilizing
weakly supervised localization", Medical Image Analysis 68 (2021): a narrow network over the whole view draws two
saliency maps, six patches where they are highest go through a wider one, and both together give the scores.

Parameters are named as in the published files, so that those load strictly; `GmicNet.fused` then gives the same
network in the form that a CPU runs fastest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

ROWS, COLUMNS = 2944, 1920
#: Input pixels along the side of a saliency cell, and of a patch.
CELL, PATCH = 64, 256
PATCHES = 6
CLASSES = 2
_PATCH_CELLS = PATCH // CELL
_GLOBAL_WIDTHS = (16, 32, 64, 128, 256)
_LOCAL_WIDTHS = (64, 128, 256, 512)
_ATTENTION_WIDTH = 128
#: Rows of the pooled first convolution made at a time: the convolution's own rows, 90 MB for a view, stay in the cache.
_STRIP_ROWS = 35


@dataclass(frozen=True, slots=True, eq=False)
class NetOutput:
    """One view's answers. Scores: (2,), benign then malignant, 0–1; `scores` is the one meant to be used.

    saliency: (2, 46, 30), 0–1. corners: (6, 2), row and column of each patch's first pixel in the input, as chosen.
    attention: (6,), sums to 1. All on the CPU.
    """

    scores: Tensor
    global_scores: Tensor
    local_scores: Tensor
    saliency: Tensor
    corners: Tensor
    attention: Tensor


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


def _pointwise(values: Tensor, weight: Tensor) -> Tensor:
    """A 1 × 1 convolution without stride, as the product of matrices that it is: on one thread that is far faster."""
    return functional.linear(values.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)


def _joined(conv: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """The convolution with the norm that follows it."""
    return fuse_conv_bn_eval(conv, cast("nn.BatchNorm2d", norm))


class _PreActivationBlock(nn.Module):
    """Norm and ReLU come before each convolution; the first block of a stage projects what it passes by."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, projects: bool) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), _conv(inputs, outputs, 3, stride)
        self.bn2: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride)) if projects else None

    def forward(self, values: Tensor) -> Tensor:
        active = torch.relu_(self.bn1(values))
        passed = values if self.downsample is None else self._projected(active)
        inner = self.conv2(torch.relu_(self.bn2(self.conv1(active))))
        result: Tensor = inner.add_(passed)
        return result

    def _projected(self, active: Tensor) -> Tensor:
        projection = cast("nn.Conv2d", cast("nn.Sequential", self.downsample)[0])
        if projection.stride == (1, 1):
            return _pointwise(active, projection.weight)
        projected: Tensor = projection(active)
        return projected

    def fuse(self) -> None:
        """The second norm becomes part of the convolution before it."""
        self.conv1, self.bn2 = _joined(self.conv1, self.bn2), nn.Identity()


class _GlobalNet(nn.Module):
    """ResNet-22: (n, 1, 2944, 1920) → (n, 256, 46, 30)."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Conv2d(1, _GLOBAL_WIDTHS[0], 7, 2, 3, bias=False)
        self.layer_list = nn.ModuleList()
        inputs = _GLOBAL_WIDTHS[0]
        for stage, outputs in enumerate(_GLOBAL_WIDTHS):
            first = _PreActivationBlock(inputs, outputs, 1 if stage == 0 else 2, projects=True)
            self.layer_list.append(nn.Sequential(first, _PreActivationBlock(outputs, outputs, 1, projects=False)))
            inputs = outputs
        self.final_bn = nn.BatchNorm2d(inputs)

    def forward(self, values: Tensor) -> Tensor:
        values = self._pooled_first_conv(values)
        for stage in self.layer_list:
            values = stage(values)
        return torch.relu_(self.final_bn(values))

    def _pooled_first_conv(self, values: Tensor) -> Tensor:
        """The first convolution, then the maximum of 3 × 3 at every second place; strip by strip, the same numbers."""
        rows = ((values.shape[2] - 1) // 2 + 1 - 3) // 2 + 1
        strips, height = [], _STRIP_ROWS if values.device.type == "cpu" else rows
        for first in range(0, rows, height):
            last = min(first + height, rows)
            top, bottom = 4 * first - 3, 4 * last + 4  # the input rows under convolution rows 2·first to 2·last
            part = values[:, :, max(top, 0) : bottom]
            part = functional.pad(part, (0, 0, max(-top, 0), max(bottom - values.shape[2], 0)))
            wide = functional.conv2d(part, self.first_conv.weight, stride=2, padding=(0, 3))
            strips.append(functional.max_pool2d(wide, 3, 2))
        return torch.cat(strips, dim=2)


class _Block(nn.Module):
    """Norm and ReLU come after each convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(inputs, outputs, 3, stride), _conv(outputs, outputs, 3)
        self.bn1: nn.Module = nn.BatchNorm2d(outputs)
        self.bn2: nn.Module = nn.BatchNorm2d(outputs)
        projects = stride != 1 or inputs != outputs
        self.downsample = (
            nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if projects else None
        )

    def forward(self, values: Tensor) -> Tensor:
        passed = values if self.downsample is None else self.downsample(values)
        inner = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(values)))))
        return torch.relu_(inner.add_(passed))

    def fuse(self) -> None:
        """Each norm becomes part of the convolution before it."""
        self.conv1, self.bn1 = _joined(self.conv1, self.bn1), nn.Identity()
        self.conv2, self.bn2 = _joined(self.conv2, self.bn2), nn.Identity()
        if self.downsample is not None:
            self.downsample = nn.Sequential(_joined(*self.downsample))


class _LocalNet(nn.Module):
    """ResNet-18 without its classifier: (n, 1, 256, 256), the same for each of its three channels → (n, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv(3, _LOCAL_WIDTHS[0], 7, 2)
        self.bn1: nn.Module = nn.BatchNorm2d(_LOCAL_WIDTHS[0])
        inputs = _LOCAL_WIDTHS[0]
        for number, outputs in enumerate(_LOCAL_WIDTHS, 1):
            first = _Block(inputs, outputs, 1 if number == 1 else 2)
            self.add_module(f"layer{number}", nn.Sequential(first, _Block(outputs, outputs, 1)))
            inputs = outputs

    def forward(self, values: Tensor) -> Tensor:
        values = values.expand(-1, self.conv1.in_channels, -1, -1).contiguous(memory_format=torch.channels_last)
        values = functional.max_pool2d(torch.relu_(self.bn1(self.conv1(values))), 3, 2, 1)
        for number in range(1, len(_LOCAL_WIDTHS) + 1):
            values = self.get_submodule(f"layer{number}")(values)
        return values.mean(dim=(2, 3))

    def fuse(self) -> None:
        """The norm becomes part of the first convolution, whose channels see the same and are added."""
        conv = _joined(self.conv1, self.bn1)
        one = nn.Conv2d(1, conv.out_channels, 7, 2, 3)
        one.load_state_dict({"weight": conv.weight.sum(dim=1, keepdim=True), "bias": conv.bias})
        self.conv1, self.bn1 = one, nn.Identity()


class _SaliencyHead(nn.Module):
    """(n, 256, rows, columns) → (n, 2, rows, columns), 0–1."""

    def __init__(self) -> None:
        super().__init__()
        self.gn_conv_last = _conv(_GLOBAL_WIDTHS[-1], CLASSES, 1)

    def forward(self, values: Tensor) -> Tensor:
        return torch.sigmoid(_pointwise(values, self.gn_conv_last.weight))


class GmicNet(nn.Module):
    """(n, 1, 2944, 1920) → NetOutput of each view. percent_t: share of a map's cells that its score averages."""

    def __init__(self, percent_t: float) -> None:
        super().__init__()
        self.percent_t = percent_t
        self.ds_net, self.left_postprocess_net, self.dn_resnet = _GlobalNet(), _SaliencyHead(), _LocalNet()
        wide = _LOCAL_WIDTHS[-1]
        self.mil_attn_V = nn.Linear(wide, _ATTENTION_WIDTH, bias=False)
        self.mil_attn_U = nn.Linear(wide, _ATTENTION_WIDTH, bias=False)
        self.mil_attn_w = nn.Linear(_ATTENTION_WIDTH, 1, bias=False)
        self.classifier_linear = nn.Linear(wide, CLASSES, bias=False)
        self.fusion_dnn = nn.Linear(_GLOBAL_WIDTHS[-1] + wide, CLASSES)

    def forward(self, views: Tensor) -> list[NetOutput]:
        """Raises ValueError for another shape."""
        if views.shape[1:] != (1, ROWS, COLUMNS):
            raise ValueError(f"the network takes (n, 1, {ROWS}, {COLUMNS}), not {tuple(views.shape)}")
        features = self.ds_net(views)
        saliency = self.left_postprocess_net(features)
        corners = patch_corners(saliency).cpu()
        hidden = self.dn_resnet(_patches(views, corners)).unflatten(0, (len(views), PATCHES))
        gate = torch.tanh(self.mil_attn_V(hidden)) * torch.sigmoid(self.mil_attn_U(hidden))
        attention = torch.softmax(self.mil_attn_w(gate)[:, :, 0], dim=1)
        local = (attention[:, None] @ hidden)[:, 0]
        whole = torch.cat((features.amax(dim=(2, 3)), local), dim=1)
        answers = (
            torch.sigmoid(self.fusion_dnn(whole)),
            self._top_mean(saliency),
            torch.sigmoid(self.classifier_linear(local)),
            saliency,
            corners,
            attention,
        )
        return [NetOutput(*each) for each in zip(*(answer.cpu() for answer in answers), strict=True)]

    def fused(self) -> GmicNet:
        """The network for reading: what can be computed once is. The answers differ by rounding, some 1e-6."""
        self.eval()
        for part in self.modules():
            if isinstance(part, _PreActivationBlock | _Block | _LocalNet):
                part.fuse()
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def _top_mean(self, saliency: Tensor) -> Tensor:
        cells = saliency.flatten(2)
        return cells.topk(round(cells.shape[2] * self.percent_t), dim=2).values.mean(dim=2)


def _patches(views: Tensor, corners: Tensor) -> Tensor:
    """(n, 1, 2944, 1920) and (n, 6, 2) → (6 n, 1, 256, 256): the six of the first view, then the next one's."""
    cut = [
        view[:, row : row + PATCH, column : column + PATCH]
        for view, places in zip(views, corners.tolist(), strict=True)
        for row, column in places
    ]
    return torch.stack(cut)


def patch_corners(saliency: Tensor) -> Tensor:
    """(n, 2, 46, 30) → (n, 6, 2): row and column of the patches' first pixels in the input, the most salient first.

    Each map is stretched to 0–1 and both are added; a patch lies where the sum is highest on average, and what it
    covers counts no more for the next ones. A patch of four by four cells never reaches past the input's border.
    """
    low, high = saliency.amin(dim=(2, 3), keepdim=True), saliency.amax(dim=(2, 3), keepdim=True)
    rest = ((saliency - low) / (high - low).clamp_min(torch.finfo(saliency.dtype).tiny)).sum(dim=1)
    rows, columns = (torch.arange(size, device=saliency.device) for size in rest.shape[1:])
    corners = []
    for _ in range(PATCHES):
        means = functional.avg_pool2d(rest[:, None], _PATCH_CELLS, 1)[:, 0]
        best = means.flatten(1).argmax(dim=1)
        row, column = best // means.shape[2], best % means.shape[2]
        covered = _within(rows, row)[:, :, None] & _within(columns, column)[:, None, :]
        rest = rest.masked_fill(covered, 0.0)
        corners.append(torch.stack((row, column), dim=1) * CELL)
    return torch.stack(corners, dim=1)


def _within(cells: Tensor, first: Tensor) -> Tensor:
    """(cells,) and (n,) → (n, cells): which lie in the patch that begins there."""
    return (cells >= first[:, None]) & (cells < first[:, None] + _PATCH_CELLS)
