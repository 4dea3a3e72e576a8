"""What would be otherwise if the shadow were live: bands before and after, agreement, what is ruled out and flagged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.findings import Category
from storage.shadows import Answers

#: Rows and columns of the matrix: bands 1–10, and exams that were not read.
LABELS = (*map(str, range(1, 11)), "not read")
_CATEGORIES = tuple(map(str, Category))
_DRAWS, _SEED, _TAILS = 1000, 1, (0.025, 0.975)

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of the exams where the live answer was one thing and the shadow's the other. gained: new with the shadow."""

    what: str
    live: int
    shadow: int
    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class Kappa:
    """1 is full agreement, 0 what chance gives. low, high: the middle 95 % of bootstrap samples of the exams."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """matrix: exams by live band (rows) and shadow band (columns), in the order of `LABELS`.

    same_band, within_one_band, same_category: shares of the exams that both read, 0–1; None when there are none.
    band_kappa, category_kappa: Cohen's kappa of those exams, of bands with quadratic weights (Psychol Bull
    1968;70:213); None where both always say the same one thing.
    """

    shadow: str
    exams: int
    matrix: tuple[tuple[int, ...], ...]
    same_band: float | None
    within_one_band: float | None
    same_category: float | None
    band_kappa: Kappa | None
    category_kappa: Kappa | None
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


def kappa(pairs: Sequence[tuple[int, int]], *, weighted: bool = True) -> Kappa | None:
    """Cohen's kappa of pairs of numbers; weighted: disagreement counts by its square, else all of it alike."""
    if not pairs:
        return None
    numbers, at = np.unique(np.array(pairs), return_inverse=True)
    size = len(numbers)
    cells = np.ravel_multi_index(tuple(at.reshape(-1, 2).T), (size, size))
    table = np.bincount(cells, minlength=size * size)
    value = _kappas(table[np.newaxis], numbers, weighted=weighted)[0]
    if np.isnan(value):
        return None
    drawn = np.random.default_rng(_SEED).multinomial(len(pairs), table / len(pairs), _DRAWS)
    low, high = np.nanquantile(_kappas(drawn, numbers, weighted=weighted), _TAILS)
    return Kappa(float(value), float(low), float(high))


def _kappas(tables: Counts, numbers: Counts, *, weighted: bool) -> NDArray[np.float64]:
    """Of each table (draws, categories²), flattened by rows; NaN where chance leaves no disagreement."""
    apart = np.subtract.outer(numbers, numbers)
    cost = (apart**2 if weighted else apart != 0).astype(float)
    squares = tables.reshape(len(tables), *cost.shape) / tables.sum(axis=1)[:, np.newaxis, np.newaxis]
    seen = (squares * cost).sum(axis=(1, 2))
    by_chance = np.einsum("di,ij,dj->d", squares.sum(axis=2), cost, squares.sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - seen / by_chance, np.nan)


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
