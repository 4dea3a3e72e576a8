"""Score → percentile → band and category, by the reference window of the exam's stratum.

A window is the distribution of scores in a screening population of one stratum, as quantiles: between two stored
quantiles the percentile runs straight, so a higher score never has a lower percentile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ai.findings import Category, Stratum

#: The window of exams whose stratum has none of its own.
ALL = "all"


class ReferenceWindow(BaseModel):
    """Scores (ascending, 0–1) at percentiles (ascending, from 0 to 100), learnt from `exams` exams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exams: int = Field(ge=1)
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
    def of(cls, scores: np.ndarray[tuple[int], np.dtype[np.floating]], steps: int = 100) -> Self:
        """The window of an unsorted sample of scores, at `steps` + 1 evenly spaced percentiles."""
        percentiles = np.linspace(0.0, 100.0, steps + 1)
        quantiles = np.maximum.accumulate(np.percentile(scores, percentiles))
        return cls(exams=len(scores), scores=tuple(map(float, quantiles)), percentiles=tuple(map(float, percentiles)))

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
    """The reference windows of one model. `windows` is keyed by `str(stratum)`; `ALL` is required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    windows: Mapping[str, ReferenceWindow]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ALL not in self.windows:
            raise ValueError(f"a calibration needs the window '{ALL}'")
        return self

    def window_name(self, stratum: Stratum) -> str:
        """The stratum's own window where there is one, else `ALL`."""
        return str(stratum) if str(stratum) in self.windows else ALL

    def percentile(self, score: float, stratum: Stratum) -> float:
        """0–100. Raises ValueError for a score that is no number."""
        if not math.isfinite(score):
            raise ValueError("the score is not a number")
        return self.windows[self.window_name(stratum)].percentile(score)


def band(percentile: float) -> int:
    """1–10, a tenth of a screening population each, 10 the most suspicious."""
    return min(10, max(1, math.ceil(percentile / 10)))
