"""Decisions counted: per strategy and draw the sums that every metric is made of.

Exams that all strategies treat alike are of one kind, of which there are some hundreds or thousands in any cohort. So
a bootstrap draw is a count per kind, and the sums of all strategies in all draws are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.evaluation.bootstrap import resampled
from ai.evaluation.decisions import WAYS, Decisions, Replay
from ai.evaluation.exams import Exams, Numbers

#: What is summed whatever the strategy.
SHARED = ("exams", "sdc", "ic")
#: What is summed for each strategy.
OWN = (
    "reads",
    "called",
    "called_ic",
    "called_new",
    "ruled_out",
    "ruled_out_sdc",
    "ruled_out_ic",
    "waited",
    *(f"{name}_{way}" for way in WAYS for name in ("recall", "recall_sdc", "recall_ic", "gained", "lost")),
)

Sums = Mapping[str, Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """of: each exam's kind, 0 … K - 1. example: an exam of each kind."""

    of: NDArray[np.int64]
    example: NDArray[np.int64]


def own_columns(replay: Replay, decisions: Decisions, double: Decisions, rows: NDArray[np.int64]) -> Numbers:
    """Values (rows, OWN). called_new: cancers flagged on the right side on which no meeting was held."""
    exams = replay.exams
    sdc, ic, cancer = (each[rows].astype(float) for each in (exams.sdc, exams.ic, exams.cancer))
    called, ruled_out = decisions.called[rows], decisions.ruled_out[rows].astype(float)
    new = called * (exams.cancer & exams.right_side & replay.meeting.unknown)[rows]
    columns = [decisions.reads[rows], called, called * ic, new, ruled_out, ruled_out * sdc, ruled_out * ic]
    columns.append(decisions.place[rows] * cancer)
    for recall, before in zip(decisions.recall[:, rows], double.recall[:, rows], strict=True):
        gained, lost = np.maximum(recall - before, 0) * cancer, np.maximum(before - recall, 0) * cancer
        columns += [recall, recall * sdc, recall * ic, gained, lost]
    return np.stack(columns, axis=1)


def shared_columns(exams: Exams, rows: NDArray[np.int64]) -> Numbers:
    """(rows, SHARED) values of some exams."""
    return np.stack([np.ones(len(rows)), exams.sdc[rows].astype(float), exams.ic[rows].astype(float)], axis=1)


def kinds(replay: Replay, decisions: Iterable[Decisions]) -> Kinds:
    """Exams that differ in nothing that is summed."""
    exams = replay.exams
    cancer = exams.cancer
    code = _joined(exams.sdc.astype(np.int64), [exams.ic, cancer & exams.right_side & replay.meeting.unknown])
    for each in decisions:
        # where a cancer stands in the list counts, not where a healthy woman does
        code = _joined(code, [each.reads, each.called, each.ruled_out, *each.recall, each.place * cancer])
    _, example, of = np.unique(code, return_index=True, return_inverse=True)
    return Kinds(of, example)


def _joined(code: NDArray[np.int64], values: Sequence[NDArray[np.generic]]) -> NDArray[np.int64]:
    """A code of each exam that differs where the code before or any of the values differs."""
    for value in values:
        found, inverse = np.unique(value, return_inverse=True)
        if len(found) > 1:
            code = code * len(found) + inverse
            if code.max() > 2**40:
                code = np.unique(code, return_inverse=True)[1]
    return np.unique(code, return_inverse=True)[1]


def counts(women: NDArray[np.int64], of: NDArray[np.int64], draws: int, seed: int) -> Iterator[Numbers]:
    """How many exams of each kind each bootstrap draw has: arrays (chunk, K)."""
    order = np.argsort(of, kind="stable")
    hers, starts = women[order], np.flatnonzero(np.diff(of[order], prepend=-1))
    for drawn in resampled(women, draws, seed):
        yield np.add.reduceat(drawn[:, hers], starts, axis=1, dtype=np.uint32).astype(float)


def sums(replay: Replay, decisions: Sequence[Decisions], draws: int, seed: int) -> tuple[list[Sums], list[Sums]]:
    """Per strategy its sums over the cohort (scalars) and over each draw (draws,). decisions[0]: double reading."""
    found = kinds(replay, decisions)
    parts = [shared_columns(replay.exams, found.example)]
    parts += [own_columns(replay, each, decisions[0], found.example) for each in decisions]
    values = np.concatenate(parts, axis=1)
    whole = np.bincount(found.of).astype(float) @ values
    drawn = [each @ values for each in counts(replay.exams.women, found.of, draws, seed)]
    table = np.concatenate(drawn) if drawn else np.empty((0, values.shape[1]))
    return ([_named(whole, i) for i in range(len(decisions))], [_named(table, i) for i in range(len(decisions))])


def _named(table: Numbers, strategy: int) -> Sums:
    own = len(SHARED) + strategy * len(OWN)
    named = {name: table[..., i] for i, name in enumerate(SHARED)}
    return named | {name: table[..., own + i] for i, name in enumerate(OWN)}
