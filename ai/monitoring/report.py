"""What became of a stratum's exams, as one table shows it: shares beside the reference's, KS, PSI, first alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from ai.calibration import ReferenceWindow
from ai.monitoring import watch
from ai.monitoring.design import CELLS, CONFIDENCE, cells, design
from ai.monitoring.stream import MEANING, Stream


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the exams, 0–1, with its exact interval (Clopper & Pearson 1934), and the reference's."""

    what: str
    expected: float
    found: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A chart's first alarm. exam: the number of the exam that made it, from 1, in the order of the table."""

    chart: str
    exam: int
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """exams: that were read. levels: of each chart at the end, as shares of the limit. psi: over tenths, the whole."""

    exams: int
    unread: int
    reference_exams: int
    shares: tuple[Share, ...]
    ks: float
    psi: float
    levels: dict[str, float]
    alarms: tuple[Alarm, ...]


def look(
    scores: Sequence[float | None],
    window: ReferenceWindow,
    rule_out_percentile: float,
    *,
    offered: int = 0,
    unread: int = 0,
) -> Report:
    """The report of exams in the order they came. scores: None for one that was not read.

    offered, unread: exams of the reference, and how many of them were not read; 0 where it does not tell.
    """
    charts = design(window, rule_out_percentile)
    read = cells(np.array([window.percentile(score) for score in scores if score is not None]))
    stream, taken = Stream.begin(charts, offered, unread), iter(read)
    first: dict[str, int] = {}
    for number, score in enumerate(scores, start=1):
        stream = stream.after(int(next(taken)) if score is not None else None)
        for each in stream.readings():
            if each.alarms:
                first.setdefault(each.chart, number)
    counts = np.bincount(read, minlength=CELLS)
    return Report(
        exams=len(read),
        unread=len(scores) - len(read),
        reference_exams=window.exams,
        shares=tuple(_shares(counts, charts.expected, charts.rule_out_cell)) if len(read) else (),
        ks=float(watch.ks(counts, charts.expected)) if len(read) else 0.0,
        psi=float(watch.psi(counts, charts.expected)) if len(read) else 0.0,
        levels={each.chart: each.level for each in stream.readings()},
        alarms=tuple(Alarm(chart, exam, MEANING[chart]) for chart, exam in first.items()),
    )


def _shares(counts: NDArray[np.integer], expected: NDArray[np.float64], rule_out: int) -> list[Share]:
    total = int(counts.sum())
    parts = {"ruled out": slice(0, rule_out), "top 10 %": slice(90, CELLS), "top 3 %": slice(97, CELLS)}
    return [_share(what, float(expected[part].sum()), int(counts[part].sum()), total) for what, part in parts.items()]


def _share(what: str, expected: float, found: int, total: int) -> Share:
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, found, total - found + 1)) if found else 0.0
    high = float(beta.ppf(1 - tail, found + 1, total - found)) if found < total else 1.0
    return Share(what, expected, found / total, low, high)
