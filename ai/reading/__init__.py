"""Ways to turn a detection model's outputs into an exam's assessment: one module each, named as in config.yaml.

A module offers

    PRIORS: how many of the woman's earlier exams it looks at; the engine reads them first
    OPTIONS: a frozen pydantic model of its options, every one with a default (unknown keys refused)
    scale(options) -> the name of the scale its scores are on: reference windows learnt on another do not apply
    assess(views, card, priors=(), options=OPTIONS()) -> Assessment, a pure function

`priors` are those that could be read, the newest first; an exam without any is assessed all the same.
Files that begin with "_" are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pydantic import BaseModel, ValidationError

from ai import extensions
from ai.exam import Exam, StandardView
from ai.findings import Algorithm, BreastAssessment, Finding, HeatMap, PriorComparison, ViewAssessment
from ai.models import ModelCard, ViewOutput
from ai.pixels import BreastImage


@dataclass(frozen=True, slots=True, eq=False)
class ReadView:
    """A view that was read, and what the model said of it."""

    source: BreastImage
    output: ViewOutput


@dataclass(frozen=True, slots=True, eq=False)
class PriorViews:
    """An earlier exam of the same woman, its four views, and the model that read them."""

    exam: Exam
    views: Mapping[StandardView, ReadView]
    algorithm: Algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The part of a Reading that comes from the model. score: 0–1.

    prior: the comparison with an earlier exam, where there was one; its percentile, band and inputs are added later.
    """

    score: float
    breasts: tuple[BreastAssessment, ...]
    views: tuple[ViewAssessment, ...]
    findings: tuple[Finding, ...]
    heat_maps: tuple[HeatMap, ...]
    prior: PriorComparison | None = None


class Strategy(Protocol):
    """What a module of this package offers."""

    PRIORS: int
    OPTIONS: type[BaseModel]

    def scale(self, options: Any) -> str: ...

    def assess(
        self,
        views: Mapping[StandardView, ReadView],
        card: ModelCard,
        priors: Sequence[PriorViews] = ...,
        options: Any = ...,
    ) -> Assessment: ...


def offered() -> tuple[str, ...]:
    """The strategies that config.yaml may name."""
    return extensions.offered(sys.modules[__name__])


def load(name: str) -> Strategy:
    """The strategy `name`. Raises NoSuchExtension, naming what there is."""
    return cast("Strategy", extensions.load(sys.modules[__name__], name))


def options(name: str, given: Mapping[str, Any]) -> BaseModel:
    """The options of strategy `name`. Raises ValueError with what is wrong and what there is."""
    form = load(name).OPTIONS
    try:
        return form.model_validate(dict(given))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        allowed = ", ".join(form.model_fields) or "none"
        raise ValueError(f"strategy_options of '{name}': {faults}; its options are: {allowed}") from error
