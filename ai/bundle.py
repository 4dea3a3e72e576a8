"""A bundle is a folder, or a zip of its files, with everything a model is served with:

    card.json              ai.models.ModelCard, with the sha256 of the weights
    weights.safetensors    the only form in which weights are loaded: no pickle is ever run
    calibration.json       ai.calibration.Calibration (detection only)
    eligibility.json       ai.eligibility.EligibilityRules
    self_check.json        ai.self_check.SelfCheck: what the model must answer on made-up images

`Bundle.load` trusts nothing: every file must be there, whole, and of this version's form.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ai import models
from ai.calibration import Calibration
from ai.device import CPU
from ai.eligibility import EligibilityRules
from ai.extensions import NoSuchExtension
from ai.models import CompositionModel, DetectionModel, ModelCard, Task, Weights
from ai.self_check import SelfCheck

SHIPPED = Path(__file__).parent / "bundles"
#: The demonstration model that comes with this software.
DEMO = SHIPPED / "demo"

CARD, WEIGHTS, CALIBRATION = "card.json", "weights.safetensors", "calibration.json"
ELIGIBILITY, SELF_CHECK = "eligibility.json", "self_check.json"

_Form = TypeVar("_Form", bound=BaseModel)


class BundleError(Exception):
    """A bundle that cannot be served; the message names the folder, the file and what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A loaded bundle: the model is built, the weights' hash is checked. `calibration` is None for composition."""

    card: ModelCard
    model: DetectionModel | CompositionModel
    eligibility: EligibilityRules
    self_check: SelfCheck
    calibration: Calibration | None

    @classmethod
    def load(cls, folder: Path, device: torch.device = CPU) -> Bundle:
        """Its model on `device`.

        Raises BundleError: a file is missing or of another form, the weights' hash or shapes do not match.
        """
        card = _read(folder, CARD, ModelCard)
        weights = _read_weights(folder, card)
        try:
            model = models.load(card.module).build(card, weights, device)
        except (NoSuchExtension, ValueError) as error:
            raise BundleError(f"{folder}: {error}") from error
        return cls(
            card=card,
            model=model,
            eligibility=_read(folder, ELIGIBILITY, EligibilityRules),
            self_check=_read(folder, SELF_CHECK, SelfCheck),
            calibration=_read(folder, CALIBRATION, Calibration) if card.task is Task.DETECTION else None,
        )


def write(
    folder: Path,
    *,
    card: ModelCard,
    weights: Weights,
    eligibility: EligibilityRules,
    self_check: SelfCheck,
    calibration: Calibration | None = None,
) -> ModelCard:
    """Write a bundle and return its card, which now carries the sha256 of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save_tensors({name: tensor.contiguous() for name, tensor in weights.items()})
    card = card.model_copy(update={"weights_sha256": hashlib.sha256(data).hexdigest()})
    (folder / WEIGHTS).write_bytes(data)
    forms: dict[str, BaseModel | None] = {
        CARD: card,
        ELIGIBILITY: eligibility,
        SELF_CHECK: self_check,
        CALIBRATION: calibration,
    }
    for name, form in forms.items():
        if form is not None:
            (folder / name).write_text(form.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return card


def _bytes(folder: Path, name: str) -> bytes:
    try:
        if folder.is_file():
            with zipfile.ZipFile(folder) as archive:
                return archive.read(name)
        return (folder / name).read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f"{folder}: {name} is missing or unreadable") from error


def _read(folder: Path, name: str, form: type[_Form]) -> _Form:
    try:
        return form.model_validate_json(_bytes(folder, name))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or name}: {e['msg']}" for e in error.errors())
        raise BundleError(f"{folder}: {name}: {faults}") from error


def _read_weights(folder: Path, card: ModelCard) -> Weights:
    data = _bytes(folder, WEIGHTS)
    if hashlib.sha256(data).hexdigest() != card.weights_sha256:
        raise BundleError(f"{folder}: {WEIGHTS} is not the file that {CARD} names (sha256 differs)")
    try:
        return load_tensors(data)
    except SafetensorError as error:
        raise BundleError(f"{folder}: {WEIGHTS}: {error}") from error
