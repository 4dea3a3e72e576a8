"""The AI and the readers on the same exams: what each found alone, McNemar's test, and non-inferiority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ai.evaluation.cases import Cases, Flags
from ai.evaluation.inferiority import (
    McNemar,
    NonInferiority,
    Pairs,
    mcnemar,
    non_inferior_paired,
    pair_effect,
    paired,
)


@dataclass(frozen=True, slots=True)
class Versus:
    """measure: sensitivity (of SDC and IC) or specificity; of: exams it is of; new, old: share right by each way."""

    new_way: str
    old_way: str
    measure: str
    of: int
    new: float
    old: float
    pairs: Pairs
    mcnemar: McNemar
    non_inferiority: NonInferiority


def versus(found: Cases, rule_out: float, flag: float, margins: Mapping[str, float]) -> tuple[Versus, ...]:
    """Ruling out before double reading, and the AI against the first reader: at its own line and at the reader's.

    margins: of sensitivity and specificity. What the table has no columns for is left out.
    """
    told: list[Versus] = []
    known, recalled = found.recalled()
    if known.any():
        kept = recalled & (found.position >= rule_out)
        told += _both("rule-out, then as read", "as read", (kept, recalled, known), found, margins)
    known, first = found.flags("r1", 2)
    if known.any():
        flagged = found.position >= flag
        told += _both("AI, flagged", "first reader", (flagged, first, known), found, margins)
        level = 1 - float(first[known].mean())
        alike = found.position >= np.quantile(found.position[known], level)
        told += _both("AI, as often positive", "first reader", (alike, first, known), found, margins)
    return tuple(told)


def _both(
    new_way: str, old_way: str, positive: tuple[Flags, Flags, Flags], found: Cases, margins: Mapping[str, float]
) -> list[Versus]:
    new, old, known = positive
    measures = {"sensitivity": (found.cancer & known, new, old), "specificity": (~found.cancer & known, ~new, ~old)}
    return [
        _one(new_way, old_way, name, (new[of], old[of], found.women[of]), margins[name])
        for name, (of, new, old) in measures.items()
        if of.any()
    ]


def _one(new_way: str, old_way: str, measure: str, right: tuple[Flags, Flags, np.ndarray], margin: float) -> Versus:
    new, old, women = right
    pairs = paired(new, old)
    return Versus(
        new_way=new_way,
        old_way=old_way,
        measure=measure,
        of=pairs.all,
        new=float(new.mean()),
        old=float(old.mean()),
        pairs=pairs,
        mcnemar=mcnemar(pairs),
        non_inferiority=non_inferior_paired(pairs, margin, effect=pair_effect(new, old, women)),
    )
