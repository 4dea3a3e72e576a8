"""Score → percentile → band and category, by the reference window of the exam's stratum.

A window is the distribution of scores in a screening population, as quantiles: between two stored quantiles the
percentile runs straight, so a higher score never has a lower percentile. It names the strata whose exams it was learnt
from, and holds for those alone. Two strata are the same when manufacturer and model agree but for case and spacing,
and the software versions agree but for spacing: an update alone makes a new stratum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ai.findings import Category, Stratum

#: The window that exams of a stratum without one of its own borrow.
ALL = "all"
#: Whose scores a calibration was made for, where it does not say.
SCREENING = "screening"


class ReferenceWindow(BaseModel):
    """Scores (ascending, 0–1) at percentiles (ascending, from 0 to 100), learnt from `exams` exams of `strata`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exams: int = Field(ge=1)
    strata: tuple[Stratum, ...] = ()
    scores: tuple[float, ...]
    percentiles: tuple[float, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.scores) != len(self.percentiles) or len(self.scores) < 2:
            raise ValueError("a window needs as many percentiles as scores, and at least two")
        if np.any(np.diff(self.scores) < 0) or np.any(np.diff(self.percentiles) <= 0):
            raise ValueError("a window's scores and percentiles must ascend")
        if self.percentiles[0] != 0 or self.percentiles[-1] != 100:
            raise ValueError("a window's percentiles run from 0 to 100")
        return self

    @classmethod
    def of(cls, scores: NDArray[np.floating[Any]], strata: Iterable[Stratum] = (), *, steps: int = 100) -> Self:
        """The window of an unsorted sample of scores, at `steps` + 1 evenly spaced percentiles."""
        percentiles = np.linspace(0.0, 100.0, steps + 1)
        quantiles = np.maximum.accumulate(np.percentile(scores, percentiles))
        return cls(
            exams=len(scores),
            strata=tuple(strata),
            scores=tuple(map(float, quantiles)),
            percentiles=tuple(map(float, percentiles)),
        )

    def percentile(self, score: float) -> float:
        """0–100: the share of the window's exams that score lower (the middle of the share at a tie)."""
        scores = np.asarray(self.scores)
        left, right = np.searchsorted(scores, score, "left"), np.searchsorted(scores, score, "right")
        if right > left:
            return float((self.percentiles[left] + self.percentiles[right - 1]) / 2)
        return float(np.interp(score, scores, self.percentiles))


class OperatingPoints(BaseModel):
    """Where a site draws the lines: below rule_out is NEGATIVE, flag and above is SUSPICIOUS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule_out_percentile: float = Field(default=70.0, ge=0, le=100)
    flag_percentile: float = Field(default=97.0, ge=0, le=100)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rule_out_percentile > self.flag_percentile:
            raise ValueError("rule_out_percentile must not be above flag_percentile")
        return self

    def category(self, percentile: float) -> Category:
        """NEGATIVE, INDETERMINATE or SUSPICIOUS."""
        if percentile >= self.flag_percentile:
            return Category.SUSPICIOUS
        return Category.NEGATIVE if percentile < self.rule_out_percentile else Category.INDETERMINATE


class Calibration(BaseModel):
    """The reference windows of one model, by name; `ALL` is required. scale: of the scores (see `ai.reading`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    scale: str = SCREENING
    windows: Mapping[str, ReferenceWindow]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ALL not in self.windows:
            raise ValueError(f"a calibration needs the window '{ALL}'")
        named = [matched(stratum) for window in self.windows.values() for stratum in window.strata]
        if len(set(named)) < len(named):
            raise ValueError("a stratum belongs to one window only")
        return self

    def window_of(self, stratum: Stratum) -> str | None:
        """The name of the window that was learnt from exams of this stratum; None where there is none.

        None too for images that name no manufacturer or no model: they may be of any.
        """
        wanted = matched(stratum)
        if not wanted[0] or not wanted[1]:
            return None
        holding = (name for name, window in self.windows.items() if wanted in map(matched, window.strata))
        return next(holding, None)

    def percentile(self, score: float, window: str) -> float:
        """0–100, in the window of that name. Raises ValueError for a score that is no number."""
        if not math.isfinite(score):
            raise ValueError("the score is not a number")
        return self.windows[window].percentile(score)


#: Of a bundle that has seen no population: whatever the score, the percentile is just below 50.
NO_WINDOW = Calibration(
    version="none",
    windows={ALL: ReferenceWindow(exams=1, scores=(-1e6, 1e6 + 10.0), percentiles=(0.0, 100.0))},
)


def matched(stratum: Stratum) -> tuple[str, str, str]:
    """What makes two strata the same."""
    return (
        " ".join(stratum.manufacturer.casefold().split()),
        " ".join(stratum.manufacturer_model_name.casefold().split()),
        " ".join(stratum.software_versions.split()),
    )


def band(percentile: float) -> int:
    """1–10, a tenth of a screening population each, 10 the most suspicious."""
    return min(10, max(1, math.ceil(percentile / 10)))
