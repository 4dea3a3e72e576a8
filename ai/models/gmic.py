"""The Globally-Aware Multiple Instance Classifier (Shen et al., Medical Image Analysis 2021), written from the paper:
one published network or a mean of several, on views at native resolution.

A view's score is the mean of the networks' fused malignant scores, its map the mean of their malignant saliency maps.
A marked place is a peak of that map; its probability is the lower of the peak and the view's score, so that a mark
needs both. The network tells malignant from benign but not a mass from calcifications: it marks suspicious regions.
The six places that each network looks at more closely are told apart from findings: it picks them in every breast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ai.device import CPU, staged, together
from ai.findings import FindingType, NetworkDetail, Region, RegionOfInterest, ViewDetail
from ai.geometry import Geometry
from ai.models import Candidate, ModelCard, Task, ViewOutput, Weights
from ai.models._gmic_input import gmic_input
from ai.models._gmic_net import CELL, PATCH, GmicNet, NetOutput
from ai.models._peaks import candidates
from ai.models._threads import each_view
from ai.pixels import BreastImage

CARD = ModelCard(
    module="gmic",
    name="NYU GMIC",
    version="e08541c",
    manufacturer="New York University (published network)",
    task=Task.DETECTION,
    intended_use="Research. Malignant and benign scores of the views of a screening exam, with saliency maps.",
    labelling="Research model. Not for clinical use.",
    licence="AGPL-3.0, as its authors publish their weights; this code is written from the paper and is not under it",
    training_data="NYU Breast Cancer Screening Dataset: 229,426 exams of 141,473 women, 2010–2017 (Shen et al., 2021).",
    pitch_mm=None,
    tone="as stored; centred and scaled by the whole window's own values",
    labels=("benign", "malignant"),
    finding_threshold=0.5,
    weights_source="sample_model_1.p to sample_model_5.p of github.com/nyukat/GMIC at e08541c",
)

#: A parameter of the published files that no network uses.
UNUSED = "shared_rep_filter.weight"
PERCENT_T = "percent_t"
_DEFAULT_PERCENT_T = 0.02
_MALIGNANT = CARD.labels.index("malignant")


@dataclass(frozen=True, slots=True, eq=False)
class GmicView:
    """A view ready for the networks. values: (1, 2944, 1920), staged for the device."""

    image: BreastImage
    values: torch.Tensor
    geometry: Geometry


@dataclass(frozen=True, slots=True, eq=False)
class GmicModel:
    """Networks by name, in evaluation mode, float32, all on `device`."""

    networks: Mapping[str, GmicNet]
    device: torch.device = CPU

    def prepare(self, view: BreastImage) -> GmicView:
        """The window of the view that the networks see."""
        prepared = gmic_input(view)
        return GmicView(view, staged(prepared.values[None], self.device), prepared.geometry)

    def answer(self, inputs: Sequence[GmicView]) -> list[ViewOutput]:
        """On CUDA all views together; on the CPU, where that gains nothing, a thread for each."""
        if self.device.type == "cpu":
            return each_view(self._answer_one, inputs)
        return self._answer_together(inputs)

    def _answer_one(self, view: GmicView) -> ViewOutput:
        return self._answer_together([view])[0]

    @torch.inference_mode()
    def _answer_together(self, views: Sequence[GmicView]) -> list[ViewOutput]:
        batch = together([view.values for view in views], self.device)
        by_network = {name: network(batch) for name, network in self.networks.items()}
        return [
            _view_output(view, {name: outputs[number] for name, outputs in by_network.items()})
            for number, view in enumerate(views)
        ]


def _view_output(view: GmicView, outputs: Mapping[str, NetOutput]) -> ViewOutput:
    networks = [_network_detail(name, output, view.image, view.geometry) for name, output in outputs.items()]
    scores = {label: float(np.mean([network.scores[label] for network in networks])) for label in CARD.labels}
    geometry = view.geometry.cells(CELL)
    saliency = np.where(_in_the_crop(geometry), mean_saliency(list(outputs.values())), np.float32(0.0))
    found = candidates(saliency, geometry, FindingType.SUSPICIOUS_REGION)
    standard = view.image.view.standard_view
    if standard is None:
        raise ValueError("the networks know CC and MLO views of a known side only")
    return ViewOutput(
        probability=scores["malignant"],
        suspicion=saliency,
        geometry=geometry,
        candidates=tuple(_limited(candidate, scores["malignant"]) for candidate in found),
        detail=ViewDetail(
            sop_instance_uid=view.image.view.sop_instance_uid,
            standard_view=standard,
            scores=scores,
            networks=tuple(networks),
        ),
    )


def build(card: ModelCard, weights: Weights, device: torch.device = CPU) -> GmicModel:
    """The model with these weights: for each network its name, a dot, and the published parameter's name.

    `<name>.percent_t`, a number, is 0.02 where it is missing. Raises ValueError when the weights do not fit.
    """
    states: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in weights.items():
        name, _, parameter = key.partition(".")
        states.setdefault(name, {})[parameter] = tensor
    if not states:
        raise ValueError(f"the weights do not fit {card.module}: there are none")
    try:
        return GmicModel({name: _network(state).to(device) for name, state in states.items()}, device)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {card.module}: {error}") from error


def fresh(seed: int) -> Weights:
    """Untrained weights of one network, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {f"1.{name}": tensor for name, tensor in GmicNet(_DEFAULT_PERCENT_T).state_dict().items()}


def _network(state: Mapping[str, torch.Tensor]) -> GmicNet:
    parameters = {name: tensor for name, tensor in state.items() if name not in (UNUSED, PERCENT_T)}
    network = GmicNet(float(state[PERCENT_T]) if PERCENT_T in state else _DEFAULT_PERCENT_T)
    network.load_state_dict(parameters)
    return network.fused()


def mean_saliency(outputs: Sequence[NetOutput]) -> NDArray[np.float32]:
    """Of the malignant maps, (46, 30)."""
    maps = np.stack([output.saliency[_MALIGNANT].numpy() for output in outputs])
    return np.asarray(maps.mean(axis=0), dtype=np.float32)


def _in_the_crop(geometry: Geometry) -> NDArray[np.bool_]:
    """The cells that any stored pixel lies in; the others show only what the window was filled with."""
    rows = [geometry.holds((0, row, 1, row + 1)) for row in range(geometry.rows)]
    columns = [
        geometry.holds((column, geometry.row_offset, column + 1, geometry.rows)) for column in range(geometry.columns)
    ]
    return np.outer(rows, columns)


def _limited(candidate: Candidate, score: float) -> Candidate:
    return replace(candidate, probability=min(candidate.probability, score))


def _network_detail(name: str, output: NetOutput, image: BreastImage, geometry: Geometry) -> NetworkDetail:
    scores: dict[str, float] = {}
    for kind, values in (("", output.scores), (", global", output.global_scores), (", local", output.local_scores)):
        scores |= {f"{label}{kind}": value for label, value in zip(CARD.labels, values.tolist(), strict=True)}
    regions = tuple(
        _region_of_interest(corner, attention, image, geometry)
        for corner, attention in zip(output.corners.tolist(), output.attention.tolist(), strict=True)
    )
    return NetworkDetail(name=name, scores=scores, regions_of_interest=regions)


def _region_of_interest(
    corner: tuple[int, int], attention: float, image: BreastImage, geometry: Geometry
) -> RegionOfInterest:
    row, column = corner
    left, top, right, bottom = geometry.box_to_stored((column, row, column + PATCH, row + PATCH))
    region = Region(sop_instance_uid=image.view.sop_instance_uid, left=left, top=top, right=right, bottom=bottom)
    inside = geometry.holds((column, row, column + PATCH, row + PATCH))
    return RegionOfInterest(region=region if inside else None, input_row=row, input_column=column, attention=attention)
