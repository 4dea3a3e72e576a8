"""The published networks of GMIC that a user brings → one bundle: the mean of those that were named.

A network is known by the sha256 of its file. A file that is not one of the five is refused; a researcher who trained
their own of the same architecture may say so, and then every result carries that the weights are unverified.

No reference window comes with them, and none can be made up: the bundle places every exam in the middle, which says
nothing, so that its category is INDETERMINATE until `mammo-node calibrate` has seen a site's own exams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ai import bundle
from ai.calibration import NO_WINDOW
from ai.eligibility import EligibilityRules, Span
from ai.models import ModelCard, Task, gmic
from ai.published import ImportRefused, restricted_load, sha256
from ai.self_check import SelfCheck, answers

#: sha256 of the published files at nyukat/GMIC e08541c → the network's name there, and its percent_t.
NETWORKS: Mapping[str, tuple[str, float]] = {
    "3b792e6de22fdccd34a43b4c1cc87a94f5f4fa8aed42722dce4e4badac347991": ("1", 0.02),
    "b09da8d5c128f42f2a2589bfec5ffa28b16cb3d00fbc5d45913cbb402d05754e": ("2", 0.03),
    "07800b83f06eea69c6afe05ecd83523026c391762fb6593538623acd9e715bbd": ("3", 0.03),
    "775b3e29301fdf7d33f16f4ee5f5a5338a23d858572c66cb0097f678cd2cb4c1": ("4", 0.05),
    "8209bef18775419e6d5575ae73a761458382aa342809fc3ff83b73e6c1fcf585": ("5", 0.1),
}
_UNKNOWN_PERCENT_T = 0.02
UNVERIFIED = "Unverified weights."


@dataclass(frozen=True, slots=True, eq=False)
class _Network:
    """One file. known: it is a published one."""

    name: str
    percent_t: float
    sha256: str
    known: bool
    state: Mapping[str, Tensor]


def import_nyu_gmic(files: Sequence[Path], folder: Path, *, allow_unknown: bool = False) -> ModelCard:
    """Convert published files to a bundle in `folder`, and return its card.

    allow_unknown: other files too, which marks the bundle as unverified. Raises ImportRefused when a file is missing,
    named twice, not published, holds more than plain tensors, or does not fit the network.
    """
    networks = [_network(file, number, allow_unknown=allow_unknown) for number, file in enumerate(files, 1)]
    if len({network.sha256 for network in networks}) < len(networks):
        raise ImportRefused("a network is named twice; each counts once in the mean")
    weights: dict[str, Tensor] = {}
    for network in networks:
        weights |= _named(network)
    card = _card(networks)
    try:
        model = gmic.build(card, weights)
    except ValueError as error:
        raise ImportRefused(str(error)) from error
    return bundle.write(
        folder,
        card=card,
        weights=weights,
        eligibility=EligibilityRules(version="nyu-gmic-1", imager_pixel_spacing_mm=Span(low=0.05, high=0.11)),
        self_check=SelfCheck(expected=answers(model, Task.DETECTION)),
        calibration=NO_WINDOW,
    )


def _network(file: Path, number: int, *, allow_unknown: bool) -> _Network:
    digest = sha256(file)
    known = digest in NETWORKS
    if not known and not allow_unknown:
        raise ImportRefused(
            f"{file} is none of the five published files (its sha256 is {digest}); "
            "--allow-unknown-weights takes it all the same, and marks every result as of unverified weights"
        )
    name, percent_t = NETWORKS.get(digest, (f"unknown{number}", _UNKNOWN_PERCENT_T))
    return _Network(name, percent_t, digest, known, restricted_load(file))


def _named(network: _Network) -> dict[str, Tensor]:
    """The network's parameters under its name, without the one that nothing uses."""
    state = {f"{network.name}.{key}": tensor for key, tensor in network.state.items() if key != gmic.UNUSED}
    return state | {f"{network.name}.{gmic.PERCENT_T}": torch.tensor(network.percent_t, dtype=torch.float64)}


def _card(networks: Sequence[_Network]) -> ModelCard:
    files = ", ".join(f"{network.name} (sha256 {network.sha256})" for network in networks)
    if all(network.known for network in networks):
        source = f"{gmic.CARD.weights_source}; of them: {files}"
        return gmic.CARD.model_copy(update={"weights_source": source})
    return gmic.CARD.model_copy(
        update={
            "version": "unverified",
            "labelling": f"{UNVERIFIED} {gmic.CARD.labelling}",
            "training_data": "unknown: not all of these weights are published ones",
            "weights_source": f"files of which not all are published: {files}",
        }
    )
