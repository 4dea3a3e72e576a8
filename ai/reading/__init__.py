"""Ways to turn a detection model's outputs into an exam's assessment: one module each, named as in config.yaml.

A module offers `assess(views: Mapping[StandardView, ReadView], card: ModelCard) -> Assessment`, a pure function.
Files that begin with "_" are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from ai import extensions
from ai.exam import StandardView
from ai.findings import BreastAssessment, Finding, HeatMap, ViewAssessment
from ai.models import ModelCard, ViewOutput
from ai.pixels import BreastImage


@dataclass(frozen=True, slots=True, eq=False)
class ReadView:
    """A view that was read, and what the model said of it."""

    source: BreastImage
    output: ViewOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The part of a Reading that comes from the model. score: 0–1."""

    score: float
    breasts: tuple[BreastAssessment, ...]
    views: tuple[ViewAssessment, ...]
    findings: tuple[Finding, ...]
    heat_maps: tuple[HeatMap, ...]


class Strategy(Protocol):
    """What a module of this package offers."""

    def assess(self, views: Mapping[StandardView, ReadView], card: ModelCard) -> Assessment: ...


def offered() -> tuple[str, ...]:
    """The strategies that config.yaml may name."""
    return extensions.offered(sys.modules[__name__])


def load(name: str) -> Strategy:
    """The strategy `name`. Raises NoSuchExtension, naming what there is."""
    return cast("Strategy", extensions.load(sys.modules[__name__], name))
