"""What is told of a strategy, each a function of its sums (`ai.evaluation.tally`).

Cancers are SDC and IC: a cancer of the next round counts as none, for nobody knows whether it could be seen. Where a
metric depends on meetings that were never held it is told three times, _lo, _mid and _hi (`ai.evaluation.decisions`).
These are of detection: hi finds most cancers and recalls no other woman more than lo does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ai.evaluation.decisions import WAYS, Assumptions
from ai.evaluation.exams import Numbers
from ai.evaluation.tally import Sums


@dataclass(frozen=True, slots=True)
class Metric:
    """A number told of a strategy. decimals: as many as mean something. total: a count, not a share."""

    meaning: str
    value: Callable[[Sums], Numbers]
    decimals: int = 2


def share(above: Numbers, below: Numbers, times: float = 1.0) -> Numbers:
    """times × above / below; NaN where there is nothing to take a share of."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, times * above / np.where(below > 0, below, 1), np.nan)


def metrics(assumptions: Assumptions) -> Mapping[str, Metric]:
    """Name → metric, in the order in which they are told."""
    cost = assumptions.consensus_cost
    plain = {
        "reads": Metric("human reads an exam", lambda s: share(s["reads"], s["exams"]), 3),
        "workload": Metric(
            f"reads and {cost:g} for every meeting, an exam",
            lambda s: share(s["reads"] + cost * s["called"], s["exams"]),
            3,
        ),
        "consensus_pct": Metric("exams taken to consensus, %", lambda s: share(s["called"], s["exams"], 100)),
        "ic_in_consensus": Metric("interval cancers taken to consensus", lambda s: s["called_ic"], 1),
        "ruled_out_pct": Metric(
            "exams answered negative and read by nobody, %", lambda s: share(s["ruled_out"], s["exams"], 100)
        ),
        "missed_sdc": Metric("screen-detected cancers ruled out", lambda s: s["ruled_out_sdc"], 0),
        "missed_ic": Metric("interval cancers ruled out", lambda s: s["ruled_out_ic"], 0),
        "missed_sdc_per_10000": Metric(
            "screen-detected cancers in 10,000 ruled out", lambda s: share(s["ruled_out_sdc"], s["ruled_out"], 10_000)
        ),
        "missed_ic_per_10000": Metric(
            "interval cancers in 10,000 ruled out", lambda s: share(s["ruled_out_ic"], s["ruled_out"], 10_000)
        ),
        "missed_sdc_pct": Metric("of all screen-detected cancers ruled out, %", lambda s: _missed(s, "sdc")),
        "missed_ic_pct": Metric("of all interval cancers ruled out, %", lambda s: _missed(s, "ic")),
        "waited": Metric(
            "share of the day's worklist read before a cancer", lambda s: share(s["waited"], s["sdc"] + s["ic"]), 3
        ),
    }
    return plain | {f"{name}_{way}": metric for name in _THREEFOLD for way, metric in _threefold(name).items()}


def _missed(sums: Sums, outcome: str) -> Numbers:
    return np.where(sums["ruled_out"] > 0, share(sums[f"ruled_out_{outcome}"], sums[outcome], 100), np.nan)


def _threefold(name: str) -> Mapping[str, Metric]:
    meaning, value, decimals = _THREEFOLD[name]
    return {way: Metric(meaning, partial(value, way=way), decimals) for way in WAYS}


def _found(sums: Sums, way: str) -> Numbers:
    return sums[f"recall_sdc_{way}"] + sums[f"recall_ic_{way}"]


def _specificity(sums: Sums, way: str) -> Numbers:
    healthy = sums["exams"] - sums["sdc"] - sums["ic"]
    return 100 - share(sums[f"recall_{way}"] - _found(sums, way), healthy, 100)


def _npv(sums: Sums, way: str) -> Numbers:
    missed = sums["sdc"] + sums["ic"] - _found(sums, way)
    return 100 - share(missed, sums["exams"] - sums[f"recall_{way}"], 100)


_THREEFOLD: Mapping[str, tuple[str, Callable[..., Numbers], int]] = {
    "recall_pct": ("women recalled, %", lambda s, way: share(s[f"recall_{way}"], s["exams"], 100), 2),
    "sdc_per_1000": (
        "screen-detected cancers still detected, of 1,000",
        lambda s, way: share(s[f"recall_sdc_{way}"], s["exams"], 1000),
        2,
    ),
    "detected_per_1000": (
        "cancers detected, of 1,000: those, and interval cancers found",
        lambda s, way: share(_found(s, way), s["exams"], 1000),
        2,
    ),
    "ic_per_1000": (
        "interval cancers that stay so, of 1,000",
        lambda s, way: share(s["ic"] - s[f"recall_ic_{way}"], s["exams"], 1000),
        2,
    ),
    "sensitivity_pct": ("of SDC and IC recalled, %", lambda s, way: share(_found(s, way), s["sdc"] + s["ic"], 100), 1),
    "specificity_pct": ("of women without SDC or IC not recalled, %", _specificity, 2),
    "ppv_pct": ("of women recalled with cancer, %", lambda s, way: share(_found(s, way), s[f"recall_{way}"], 100), 1),
    "npv_pct": ("of women not recalled without cancer, %", _npv, 3),
    "gained": ("cancers detected that double reading did not", lambda s, way: s[f"gained_{way}"], 1),
    "lost": ("cancers not detected that double reading did", lambda s, way: s[f"lost_{way}"], 1),
}
