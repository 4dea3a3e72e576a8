"""Models: one module each, named as in a bundle's card. A module offers

    CARD: the ModelCard of this kind of model, as data
    build(card: ModelCard, weights: Weights, device: torch.device = CPU) -> DetectionModel or CompositionModel, as
        CARD.task says, on the device
    fresh(seed: int) -> Weights, untrained ones of the right shapes: where training starts, and what tests use

`build` copies the weights into a network in evaluation mode and raises ValueError when they do not fit.
Files that begin with "_" are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ai import extensions
from ai.device import CPU
from ai.exam import StandardView
from ai.findings import FindingType, ViewDetail
from ai.geometry import Geometry
from ai.pixels import BreastImage

Weights = Mapping[str, Tensor]


class Task(StrEnum):
    """What a model answers."""

    DETECTION = "detection"
    COMPOSITION = "composition"


class ModelCard(BaseModel):
    """What a model is and may be used for. A bundle's card.json is one of these, with its own weights' hash.

    module: the module of this package that runs it. pitch_mm: of the network's input grid; None is native.
    tone: what the values pass through before the network. labelling: printed on every result ("" when none is
    needed). calibrated: scores are probabilities of cancer. finding_threshold: least probability of a marked finding.
    performance: what was measured, in sentences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str
    name: str
    version: str
    manufacturer: str
    task: Task
    intended_use: str
    labelling: str
    licence: str
    training_data: str
    pitch_mm: float | None
    tone: str
    views_needed: tuple[str, ...] = ("R CC", "L CC", "R MLO", "L MLO")
    labels: tuple[str, ...]
    calibrated: bool = False
    finding_threshold: float = 0.5
    performance: tuple[str, ...] = ()
    weights_source: str
    weights_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A suspicious place: box (left, top, right, bottom) in stored-image pixels."""

    box: tuple[float, float, float, float]
    finding_type: FindingType
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class ViewOutput:
    """What a detection model says of one view.

    suspicion: 0–1 on the grid of `geometry`. candidates: the most suspicious first. detail: of models that tell more.
    """

    probability: float
    suspicion: NDArray[np.float32]
    geometry: Geometry
    candidates: tuple[Candidate, ...]
    detail: ViewDetail | None = None


class DetectionModel(Protocol):
    """Looks for cancer in views, in two steps, so that the next exams are prepared while one is computed."""

    def prepare(self, view: BreastImage) -> Any:
        """What `answer` needs of a view. Called on any thread, several at a time; computes on the CPU alone."""

    def answer(self, inputs: Sequence[Any]) -> list[ViewOutput]:
        """One output per input, in order: the views of one exam, or of several. An answer depends on its input alone.

        Called on one thread at a time.
        """


class CompositionModel(Protocol):
    """Assesses breast composition: the probabilities of a, b, c and d."""

    def assess(self, views: Mapping[StandardView, BreastImage]) -> tuple[float, float, float, float]: ...


class ModelModule(Protocol):
    """What a module of this package offers."""

    CARD: ModelCard

    def build(
        self, card: ModelCard, weights: Weights, device: torch.device = CPU
    ) -> DetectionModel | CompositionModel: ...

    def fresh(self, seed: int) -> Weights: ...


def detect(model: DetectionModel, views: Mapping[StandardView, BreastImage]) -> dict[StandardView, ViewOutput]:
    """The model's answers on the views of one exam. Raises ValueError when it leaves one unanswered."""
    return dict(zip(views, model.answer([model.prepare(view) for view in views.values()]), strict=True))


def offered() -> tuple[str, ...]:
    """The kinds of model there are."""
    return extensions.offered(sys.modules[__name__])


def load(name: str) -> ModelModule:
    """The model module `name`. Raises NoSuchExtension, naming what there is."""
    return cast("ModelModule", extensions.load(sys.modules[__name__], name))
