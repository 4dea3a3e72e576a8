"""Ways to combine the AI with the readers: one module each, whose docstring is its rule.

A module offers

    SETTINGS: the settings it is usually tried with, each a mapping of parameter → value, all with the same parameters
    decide(replay, **setting) -> Decisions, a pure function over all exams at once

Thresholds are quantiles of the AI's score in the stratum's reference window (`ai.evaluation.exams`). A strategy need
not think of exams that the AI did not read: `decided` lets them follow double reading, S0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from ai import extensions
from ai.evaluation.decisions import Decisions, Replay, either

BASELINE = "s0"


class Strategy(Protocol):
    """What a module of this package offers."""

    SETTINGS: Sequence[Mapping[str, float]]
    __doc__: str | None

    def decide(self, replay: Replay, **setting: float) -> Decisions: ...


@dataclass(frozen=True, slots=True)
class Variant:
    """A strategy with a setting."""

    strategy: str
    setting: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.strategy.capitalize(), *(f"{name}={value:g}" for name, value in self.setting)])


def offered() -> tuple[str, ...]:
    """The strategies there are, S2 before S10."""
    return tuple(sorted(extensions.offered(sys.modules[__name__]), key=_place))


def load(name: str) -> Strategy:
    """The strategy `name`. Raises NoSuchExtension, naming what there is."""
    return cast("Strategy", extensions.load(sys.modules[__name__], name))


def rule(name: str) -> str:
    """The strategy's rule, in a sentence."""
    return (load(name).__doc__ or "").partition("\n")[0]


def usual(name: str) -> tuple[Variant, ...]:
    """The strategy in each of its usual settings."""
    return tuple(Variant(name, tuple(setting.items())) for setting in load(name).SETTINGS)


def everything() -> tuple[Variant, ...]:
    """Every strategy in its usual settings, double reading first."""
    return tuple(variant for name in offered() for variant in usual(name))


def parse(text: str) -> tuple[Variant, ...]:
    """Variants of "s2" (its usual settings), or of "s2 lower=0.65" (that one; the rest as in its first usual setting).

    Raises ValueError, with what there is.
    """
    name, *given = text.lower().split()
    if name not in offered():
        raise ValueError(f"strategy '{name}' is not offered; there is: {', '.join(offered())}")
    if not given:
        return usual(name)
    known = load(name).SETTINGS[0]
    changed = dict(_pair(name, each, known) for each in given)
    return (Variant(name, tuple({**known, **changed}.items())),)


def decided(variant: Variant, replay: Replay) -> Decisions:
    """What the variant decides of each exam; those that the AI did not read follow double reading."""
    double = load(BASELINE).decide(replay)
    if variant.strategy == BASELINE:
        return double
    found = load(variant.strategy).decide(replay, **dict(variant.setting))
    return either(replay.exams.follows_ai, found, double)


def _pair(name: str, text: str, known: Mapping[str, float]) -> tuple[str, float]:
    key, _, value = text.partition("=")
    if key not in known:
        allowed = ", ".join(known) or "none"
        raise ValueError(f"strategy '{name}' has no parameter '{key}'; its parameters are: {allowed}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"strategy '{name}', {key}: value '{value}' is not allowed; allowed: 0 to 1")
    return key, number


def _place(name: str) -> tuple[int, str]:
    digits = "".join(each for each in name if each.isdigit())
    return int(digits), name
