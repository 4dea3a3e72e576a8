"""How a simulated programme is drawn (`ai.evaluation.simulated`), round by round, for all women at once.

Each breast has a hidden suspicion for the AI, and each exam and each cancer one for the readers. They share what makes
an exam hard or a cancer conspicuous. A cancer that shows and is missed surfaces before the next round or, as often,
is there again in it, larger; a woman with cancer detected does not come again.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from ai.cohort import Outcome
from ai.evaluation.simulated import Programme, named, shares

_Numbers = NDArray[np.float64]
_Flags = NDArray[np.bool_]

_INTERVAL_DAYS, _INTAKE_DAYS = 728, 700
_NEVER = 99
_GROWN = 1.5  # what a missed cancer gains until the next round, in standard deviations
_MANY_SCORES, _FEW_SCORES = (0.31, 0.34, 0.23, 0.12), (0.85, 0.12, 0.03, 0.0)  # of 2–5, for cancers and others
#: Chance of recall by the meeting: others found positive by one reader and by both, cancers shown and hidden.
_RECALL_ONE, _RECALL_BOTH, _RECALL_SHOWN, _RECALL_HIDDEN = 0.21, 0.55, 0.97, 0.10
_SIDES = ("right", "left")


def cohort(programme: Programme, seed: int) -> pl.DataFrame:
    """A cohort table of so many exams; the same programme and seed give the same table."""
    women = int(programme.exams / (programme.rounds + 1) * 2 * 1.1) + 50
    drawn = _Women(programme, np.random.default_rng(seed), women)
    table = pl.concat([drawn.round(number) for number in range(programme.rounds)]).sort("woman", "round")
    scores = [name for name in table.columns if name.startswith("ai_score")]
    before = [pl.col(name).shift().over("woman").alias(f"prior_{name}") for name in scores]
    return named(table.with_columns(before).head(programme.exams))


class _Women:
    """The women, who change from round to round. All arrays are (women,)."""

    def __init__(self, programme: Programme, rng: np.random.Generator, women: int) -> None:
        self.p, self.rng, self.size = programme, rng, women
        self.rounds = rng.integers(1, programme.rounds + 1, women)
        self.first_day = rng.integers(0, _INTAKE_DAYS, women)
        self.system = rng.integers(1, programme.systems + 1, women)
        self.texture = rng.normal(size=(2, women))
        self.side = rng.integers(0, 2, women)
        self.kind = rng.choice(len(programme.kinds), women, p=shares(programme))
        self.conspicuity = rng.normal(size=women)
        self.grown = np.zeros(women)
        chance = rng.random((programme.rounds, women))
        ill = chance < programme.shown + programme.hidden
        self.onset = np.where(ill.any(axis=0), ill.argmax(axis=0), _NEVER)
        self.shows = chance.min(axis=0, where=ill, initial=1.0) < programme.shown
        self.comes = np.ones(women, bool)

    def round(self, number: int) -> pl.DataFrame:
        """The exams of a round."""
        present = self.comes & (self.rounds > number)
        ill = self.onset == number
        difficulty = self.rng.normal(size=self.size)
        suspicion = self._suspicion(number, difficulty)
        positive = self._positive(ill, difficulty)
        recalled = positive.any(axis=0) & (self.rng.random(self.size) < self._recall_chance(ill, positive))
        outcome = self._outcome(number, ill, recalled)
        columns = {
            "woman": np.arange(self.size),
            "round": np.full(self.size, number + 1),
            "day": self.first_day + number * _INTERVAL_DAYS + self.rng.integers(-20, 21, self.size) * (number > 0),
            "system": self.system,
            "read": self.rng.random(self.size) >= self.p.not_read,
            "consensus_held": positive.any(axis=0),
            "recalled": recalled,
            "outcome": outcome,
            "cancer_side": np.where(outcome == str(Outcome.NONE), "", np.where(self.side == 0, "R", "L")),
            **self._reader_scores(ill, positive),
            **self._ai_scores(suspicion),
        }
        return pl.DataFrame(columns).filter(pl.Series(present))

    def _suspicion(self, number: int, difficulty: _Numbers) -> _Numbers:
        """The AI's of both breasts, (2, women); the lesion's where it is more than what the breast has anyway."""
        stable, free = self.p.stability, 1 - self.p.stability
        alike = min(1.0, self.p.ai_alike / float(np.sqrt(free))) if free > 0 else 0.0
        noise = self.rng.normal(size=(2, self.size))
        breasts = np.sqrt(stable) * self.texture + np.sqrt(free) * _mixed(alike, difficulty, noise)
        p, seen = self.p, np.array([ndtri(kind.reader_1) for kind in self.p.kinds.values()])
        easier = seen - np.average(seen, weights=shares(self.p))
        typical = np.where(self.shows, p.strength + 0.35 * easier[self.kind], p.hidden_strength)
        spread = np.where(self.shows, p.spread, p.hidden_spread)
        signal = typical + spread * _mixed(p.ai_alike, self.conspicuity, self.rng.normal(size=self.size)) + self.grown
        growth = p.growth * np.exp(self.rng.normal(0, 0.5, self.size))
        smaller = np.where(self.shows & (self.onset == number + 1), signal - growth, -np.inf)
        lesion = np.where(self.onset == number, signal, smaller)
        hers = np.arange(2)[:, None] == self.side
        found: _Numbers = np.where(hers, np.maximum(breasts, lesion), breasts)
        return found

    def _sight(self, reader: int = 0) -> _Numbers:
        """How well a reader sees her cancer, as a normal value: of its kind, or hidden."""
        seen = np.array([(kind.reader_1, kind.reader_2)[reader] for kind in self.p.kinds.values()])
        return np.where(self.shows, ndtri(seen)[self.kind], ndtri(self.p.hidden_seen))

    def _positive(self, ill: _Flags, difficulty: _Numbers) -> _Flags:
        """Each reader's, (2, women)."""
        noise = self.rng.normal(size=(2, self.size))
        sight = np.stack([self._sight(reader) for reader in range(2)]) + self.grown
        cancer = sight + _mixed(np.sqrt(self.p.readers_alike_on_cancer), self.conspicuity, noise)
        other = ndtri(self.p.false_positive) + _mixed(np.sqrt(self.p.readers_alike), difficulty, noise)
        return np.where(ill, cancer, other) > 0

    def _recall_chance(self, ill: _Flags, positive: _Flags) -> _Numbers:
        others = np.where(positive.all(axis=0), _RECALL_BOTH, _RECALL_ONE)
        return np.where(ill, np.where(self.shows, _RECALL_SHOWN, _RECALL_HIDDEN), others)

    def _outcome(self, number: int, ill: _Flags, recalled: _Flags) -> NDArray[np.str_]:
        """What becomes of her; and who comes to the next round, with what."""
        again = ill & ~recalled & self.shows & (self.rounds > number + 1) & (self.rng.random(self.size) < 0.5)
        self.onset = np.where(again, number + 1, self.onset)
        self.grown = np.where(again, self.grown + _GROWN, self.grown)
        self.comes &= ~ill | again
        outcome = np.full(self.size, str(Outcome.NONE), "U4")
        outcome[ill] = str(Outcome.IC)
        outcome[ill & recalled] = str(Outcome.SDC)
        outcome[again] = str(Outcome.NEXT)
        return outcome

    def _reader_scores(self, ill: _Flags, positive: _Flags) -> dict[str, NDArray[np.int64]]:
        """The scores of both readers, and of each breast: that with the cancer, or whichever it is."""
        suspected = np.where(ill, self.side, self.rng.integers(0, 2, self.size))
        columns = {}
        for reader, found in enumerate(positive, start=1):
            score = np.where(ill, self._drawn(_MANY_SCORES), self._drawn(_FEW_SCORES))
            columns[f"r{reader}"] = np.where(found, score, 1)
            for side, name in enumerate(_SIDES):
                columns[f"r{reader}_{name}"] = np.where(found & (suspected == side), score, 1)
        return columns

    def _drawn(self, chances: tuple[float, ...]) -> NDArray[np.int64]:
        return self.rng.choice(np.arange(2, 6), self.size, p=chances)

    def _ai_scores(self, suspicion: _Numbers) -> dict[str, _Numbers]:
        """Scores 0–1, on each system's own scale; the exam's is that of the more suspicious breast."""
        right, left = np.round(expit((1.1 + 0.2 * self.system) * suspicion - 2.5 - 0.4 * self.system), 6)
        return {"ai_score": np.maximum(right, left), "ai_score_right": right, "ai_score_left": left}


def _mixed(correlation: float, shared: _Numbers, own: _Numbers) -> _Numbers:
    """A standard normal value that has this correlation with `shared`."""
    mixed: _Numbers = correlation * shared + np.sqrt(1 - correlation**2) * own
    return mixed
