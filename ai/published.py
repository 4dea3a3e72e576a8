"""A published network that a user brings → a bundle. Nothing of it is part of this software.

The user names the file; its pickle is read by torch's restricted unpickler (`weights_only=True`: tensors and plain
containers, no code), and written again as safetensors. Both files' sha256 are on the card.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor

from ai import bundle
from ai.eligibility import EligibilityRules, Span
from ai.models import ModelCard, Task, breast_density
from ai.self_check import SelfCheck, answers

#: sha256 of the published histogram model at nyukat/breast_density_classifier 334b14d.
NYU_DENSITY_SHA256 = "a56eb45ca5a9cd77326b0bee940291d19c7b03215c7880523181972e78f73117"


class ImportRefused(Exception):
    """The named file is not the published network; the message says why."""


def import_nyu_density(file: Path, folder: Path) -> ModelCard:
    """Convert the published histogram model (`model.p`) to a bundle in `folder`, and return its card.

    Raises ImportRefused when the file is missing, is not the published one, or does not fit the network.
    """
    digest = sha256(file)
    if digest != NYU_DENSITY_SHA256:
        raise ImportRefused(f"{file} is not the published histogram model (sha256 {digest})")
    card = breast_density.CARD.model_copy(
        update={"weights_source": f"{breast_density.CARD.weights_source} (sha256 {digest})"}
    )
    weights = restricted_load(file)
    try:
        model = breast_density.build(card, weights)
    except ValueError as error:
        raise ImportRefused(str(error)) from error
    return bundle.write(
        folder,
        card=card,
        weights=weights,
        eligibility=EligibilityRules(version="nyu-density-1", bits_stored=Span(low=8, high=16)),
        self_check=SelfCheck(expected=answers(model, Task.COMPOSITION)),
    )


def sha256(file: Path) -> str:
    """By which a published file is known. Raises ImportRefused when it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ImportRefused(f"{file} cannot be read") from error


def restricted_load(file: Path) -> dict[str, Tensor]:
    """A state dict from a torch file, without running any code in it. Raises ImportRefused."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ImportRefused(f"{file} holds more than plain tensors, or is damaged") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ImportRefused(f"{file} holds no state dict")
    return {str(name): tensor for name, tensor in found.items()}
