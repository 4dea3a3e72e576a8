"""By simulation, briefly: intervals cover what they say, tests err as often as they say (`benchmarks/intervals.py`)."""

from __future__ import annotations

import pytest

from benchmarks.coverage import coverage
from benchmarks.intervals import Rate, coverages, errors


def beyond(rates: list[Rate], low: float, high: float) -> list[str]:
    """Those that lie further beyond than three and a half standard errors of so few samples."""
    return [
        f"{each.what}: {each.rate:.2%} ± {each.error:.2%}"
        for each in rates
        if not low - 3.5 * each.error < each.rate < high + 3.5 * each.error
    ]


def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent() -> None:
    assert beyond(coverages(600, seed=11), 0.93, 0.97) == []


@pytest.mark.parametrize("scores", ["normal, cancers wider", "exponential"])
def test_the_interval_of_an_area_near_1_holds_with_few_cancers(scores: str) -> None:
    """Where DeLong's alone covers 82 to 84 %."""
    found = coverage(scores, 0.97, 30, 400, seed=11)
    assert beyond([Rate(scores, found.covered, (0.05 * 0.95 / 400) ** 0.5, 400)], 0.93, 0.97) == []
    assert found.plain < 0.9, "or this test would tell nothing"


def test_non_inferiority_is_claimed_wrongly_in_2_to_3_percent() -> None:
    assert beyond(errors(4000, seed=12), 0.02, 0.03) == []
