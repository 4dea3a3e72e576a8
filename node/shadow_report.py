"""What would be otherwise if the shadow were live: bands before and after, agreement, what is ruled out and flagged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ai.evaluation.intervals import LEVEL, Estimate, normal_quantile
from ai.findings import Category
from storage.shadows import Answers

#: Rows and columns of the matrix: bands 1–10, and exams that were not read.
LABELS = (*map(str, range(1, 11)), "not read")
_CATEGORIES = tuple(map(str, Category))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of the exams where the live answer was one thing and the shadow's the other. gained: new with the shadow."""

    what: str
    live: int
    shadow: int
    gained: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """matrix: exams by live band (rows) and shadow band (columns), in the order of `LABELS`.

    same_band, within_one_band, same_category: shares of the exams that both read, 0–1; None when there are none.
    band_kappa, category_kappa: see `kappa`; of bands with quadratic weights.
    """

    shadow: str
    exams: int
    matrix: tuple[tuple[int, ...], ...]
    same_band: float | None
    within_one_band: float | None
    same_category: float | None
    band_kappa: Estimate | None
    category_kappa: Estimate | None
    changes: tuple[Change, ...]


def reports(answers: Sequence[Answers]) -> list[ShadowReport]:
    """One for each model and calibration that read in the shadow, the latest first."""
    found: dict[str, list[Answers]] = {}
    for each in answers:
        found.setdefault(each.shadow, []).append(each)
    return [_report(shadow, mine) for shadow, mine in reversed(found.items())]


def _report(shadow: str, answers: Sequence[Answers]) -> ShadowReport:
    counts = Counter((_label(each.live_band), _label(each.band)) for each in answers)
    both = [each for each in answers if each.live_band is not None and each.band is not None]
    apart = [abs((each.live_band or 0) - (each.band or 0)) for each in both]
    return ShadowReport(
        shadow=shadow,
        exams=len(answers),
        matrix=tuple(tuple(counts[row, column] for column in LABELS) for row in LABELS),
        same_band=_share([each == 0 for each in apart]),
        within_one_band=_share([each <= 1 for each in apart]),
        same_category=_share([each.live_category == each.category for each in both]),
        band_kappa=kappa([(each.live_band or 0, each.band or 0) for each in both]),
        category_kappa=kappa(
            [(_CATEGORIES.index(each.live_category), _CATEGORIES.index(each.category)) for each in both], weighted=False
        ),
        changes=(
            _change("ruled out", answers, Category.NEGATIVE),
            _change("flagged", answers, Category.SUSPICIOUS),
            _change("not read", answers, Category.NOT_READ),
        ),
    )


def kappa(pairs: Sequence[tuple[int, int]], *, weighted: bool = True) -> Estimate | None:
    """Cohen's kappa of pairs of numbers; weighted: disagreement counts by its square, else all of it alike.

    1 is full agreement, 0 what chance gives; None where both always say the same one thing (Psychol Bull 1968;70:213).
    The 95 % interval is that of Fleiss, Cohen and Everitt (Psychol Bull 1969;72:323), pairs taken as independent.
    """
    if not pairs:
        return None
    ones, twos = np.array(pairs).T
    kinds = np.arange(max(ones.max(), twos.max()) + 1)
    of_ones, of_twos = (np.bincount(each, minlength=len(kinds)) / len(pairs) for each in (ones, twos))
    away = kinds[:, None] - kinds[None, :]
    apart = (away**2 if weighted else away != 0).astype(float)
    by_chance = float(of_ones @ apart @ of_twos)
    if by_chance == 0:
        return None
    seen = apart[ones, twos]
    value = 1 - float(seen.mean()) / by_chance
    # how far each pair moves kappa: by its own disagreement, and by what its two numbers do to that of chance
    moved = (1 - value) * ((apart @ of_twos)[ones] + (of_ones @ apart)[twos]) - seen
    half = normal_quantile(LEVEL) * float(moved.std()) / math.sqrt(len(pairs)) / by_chance
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))


def _label(band: int | None) -> str:
    return str(band) if band is not None else LABELS[-1]


def _share(held: Sequence[bool]) -> float | None:
    return sum(held) / len(held) if held else None


def _change(what: str, answers: Sequence[Answers], category: Category) -> Change:
    pairs = [(each.live_category == category, each.category == category) for each in answers]
    return Change(
        what=what,
        live=sum(live for live, _ in pairs),
        shadow=sum(shadow for _, shadow in pairs),
        gained=sum(shadow and not live for live, shadow in pairs),
        lost=sum(live and not shadow for live, shadow in pairs),
    )
