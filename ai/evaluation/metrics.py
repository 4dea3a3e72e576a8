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

#: What needs no outcome: an exam counts in it whatever becomes of the woman.
WORKLOAD = ("reads", "workload", "consensus_pct", "ruled_out_pct")
_OF_10000, _PCT, _OF_1000 = 10_000.0, 100.0, 1000.0


@dataclass(frozen=True, slots=True)
class Misses:
    """A share of cancers missed: times × above / below. Where none was, a bootstrap knows no doubt, so it is exact."""

    above: str
    below: str
    times: float

    def __call__(self, sums: Sums) -> Numbers:
        return np.where(sums["ruled_out"] > 0, share(sums[self.above], sums[self.below], self.times), np.nan)

    def most(self, sums: Sums) -> float:
        """The upper end of Clopper and Pearson's 95 % interval where there was no event."""
        return float(self.times * (1 - 0.025 ** (1 / sums[self.below])))


@dataclass(frozen=True, slots=True)
class Metric:
    """A number told of a strategy, and what it is."""

    meaning: str
    value: Callable[[Sums], Numbers]


def share(above: Numbers, below: Numbers, times: float = 1.0) -> Numbers:
    """times × above / below; NaN where there is nothing to take a share of."""
    return np.where(below > 0, times * above / np.where(below > 0, below, 1), np.nan)


def metrics(assumptions: Assumptions) -> Mapping[str, Metric]:
    """Name → metric, in the order in which they are told."""
    cost = assumptions.consensus_cost
    workload = Metric(
        f"reads and {cost:g} for every meeting, an exam", lambda s: share(s["reads"] + cost * s["called"], s["exams"])
    )
    threefold = {
        f"{name}_{way}": Metric(metric.meaning, partial(metric.value, way=way))
        for name, metric in _THREEFOLD.items()
        for way in WAYS
    }
    return {"reads": _READS, "workload": workload, **_SINGLE, **threefold}


_READS = Metric("human reads an exam", lambda s: share(s["reads"], s["exams"]))
_SINGLE: Mapping[str, Metric] = {
    "consensus_pct": Metric("exams taken to consensus, %", lambda s: share(s["called"], s["exams"], _PCT)),
    "ic_in_consensus": Metric("interval cancers taken to consensus", lambda s: s["called_ic"]),
    "ruled_out_pct": Metric(
        "exams answered negative and read by nobody, %", lambda s: share(s["ruled_out"], s["exams"], _PCT)
    ),
    "missed_sdc": Metric("screen-detected cancers ruled out", lambda s: s["ruled_out_sdc"]),
    "missed_ic": Metric("interval cancers ruled out", lambda s: s["ruled_out_ic"]),
    "missed_sdc_per_10000": Metric(
        "screen-detected cancers in 10,000 ruled out", Misses("ruled_out_sdc", "ruled_out", _OF_10000)
    ),
    "missed_ic_per_10000": Metric(
        "interval cancers in 10,000 ruled out", Misses("ruled_out_ic", "ruled_out", _OF_10000)
    ),
    "missed_sdc_pct": Metric("of all screen-detected cancers ruled out, %", Misses("ruled_out_sdc", "sdc", _PCT)),
    "missed_ic_pct": Metric("of all interval cancers ruled out, %", Misses("ruled_out_ic", "ic", _PCT)),
    "waited": Metric(
        "share of the day's worklist read before a cancer", lambda s: share(s["waited"], s["sdc"] + s["ic"])
    ),
}


@dataclass(frozen=True, slots=True)
class _Threefold:
    """A metric of lo, mid and hi."""

    meaning: str
    value: Callable[..., Numbers]


def _found(sums: Sums, way: str) -> Numbers:
    return sums[f"recall_sdc_{way}"] + sums[f"recall_ic_{way}"]


def _recalled(sums: Sums, way: str) -> Numbers:
    return share(sums[f"recall_{way}"], sums["exams"], _PCT)


def _sdc(sums: Sums, way: str) -> Numbers:
    return share(sums[f"recall_sdc_{way}"], sums["exams"], _OF_1000)


def _detected(sums: Sums, way: str) -> Numbers:
    return share(_found(sums, way), sums["exams"], _OF_1000)


def _ic(sums: Sums, way: str) -> Numbers:
    return share(sums["ic"] - sums[f"recall_ic_{way}"], sums["exams"], _OF_1000)


def _sensitivity(sums: Sums, way: str) -> Numbers:
    return share(_found(sums, way), sums["sdc"] + sums["ic"], _PCT)


def _specificity(sums: Sums, way: str) -> Numbers:
    healthy = sums["exams"] - sums["sdc"] - sums["ic"]
    return _PCT - share(sums[f"recall_{way}"] - _found(sums, way), healthy, _PCT)


def _ppv(sums: Sums, way: str) -> Numbers:
    return share(_found(sums, way), sums[f"recall_{way}"], _PCT)


def _npv(sums: Sums, way: str) -> Numbers:
    missed = sums["sdc"] + sums["ic"] - _found(sums, way)
    return _PCT - share(missed, sums["exams"] - sums[f"recall_{way}"], _PCT)


_THREEFOLD: Mapping[str, _Threefold] = {
    "recall_pct": _Threefold("women recalled, %", _recalled),
    "sdc_per_1000": _Threefold("screen-detected cancers still detected, of 1,000", _sdc),
    "detected_per_1000": _Threefold("cancers detected, of 1,000: those, and interval cancers found", _detected),
    "ic_per_1000": _Threefold("interval cancers that stay so, of 1,000", _ic),
    "sensitivity_pct": _Threefold("of SDC and IC recalled, %", _sensitivity),
    "specificity_pct": _Threefold("of women without SDC or IC not recalled, %", _specificity),
    "ppv_pct": _Threefold("of women recalled with cancer, %", _ppv),
    "npv_pct": _Threefold("of women not recalled without cancer, %", _npv),
    "gained": _Threefold("cancers detected that double reading did not", lambda s, way: s[f"gained_{way}"]),
    "lost": _Threefold("cancers not detected that double reading did", lambda s, way: s[f"lost_{way}"]),
}
