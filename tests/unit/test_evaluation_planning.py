"""The planner: what it asks for suffices by the method that the report uses, and little less does not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from ai.evaluation.inferiority import Pairs, non_inferior_paired
from ai.evaluation.intervals import upper_limit, wilson
from ai.evaluation.planning import (
    Unreachable,
    cancers_for_misses,
    cancers_for_width,
    pairs_for_non_inferiority,
    planned,
)
from node.cli import make_app
from node.errors import ConfigError


@pytest.mark.parametrize(("limit", "expected"), [(0.05, 0.02), (0.05, 0.0), (0.10, 0.04), (0.02, 0.005)])
def test_so_many_misses_show_the_limit_and_one_more_does_not(limit: float, expected: float) -> None:
    cancers, allowed = cancers_for_misses(limit, expected)
    assert upper_limit(allowed, cancers) < limit <= upper_limit(allowed + 1, cancers)
    assert stats.binom.cdf(allowed, cancers, expected) >= 0.8


def test_without_any_miss_it_is_the_rule_of_three() -> None:
    assert cancers_for_misses(0.05, 0.0) == (59, 0)


def test_more_power_and_a_nearer_limit_take_more() -> None:
    usual = cancers_for_misses(0.05, 0.02)[0]
    assert cancers_for_misses(0.05, 0.02, power=0.95)[0] > usual
    assert cancers_for_misses(0.04, 0.02)[0] > usual
    assert cancers_for_misses(0.05, 0.02, confidence=0.99)[0] > usual


@pytest.mark.parametrize(("expected", "half"), [(0.75, 0.03), (0.5, 0.1), (0.98, 0.01)])
def test_the_interval_is_as_narrow_as_asked_and_not_with_fewer(expected: float, half: float) -> None:
    cancers = cancers_for_width(expected, half)
    widths = [np.subtract(*reversed(wilson(expected * n, n))) / 2 for n in (cancers, cancers - 1)]
    assert widths[0] <= half < widths[1]


@pytest.mark.parametrize(
    ("margin", "discordant", "difference"), [(0.05, 0.12, 0.0), (0.05, 0.12, -0.01), (0.1, 0.3, 0)]
)
def test_the_power_of_the_plan_is_the_power_of_the_test(margin: float, discordant: float, difference: float) -> None:
    of = pairs_for_non_inferiority(margin, discordant, difference)
    chances = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    drawn = np.random.default_rng(1).multinomial(of, chances, 2000)
    shown = [
        non_inferior_paired(Pairs(0, int(gained), int(lost), int(rest)), margin).shown for gained, lost, rest in drawn
    ]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.035)


def test_what_no_number_of_exams_shows_is_refused_with_the_reason() -> None:
    with pytest.raises(Unreachable, match=r"below the limit, 0\.02"):
        cancers_for_misses(0.02, 0.03)
    with pytest.raises(Unreachable, match="more than 200,000"):
        cancers_for_misses(0.02, 0.0199)
    with pytest.raises(Unreachable, match="a loss beyond the margin"):
        pairs_for_non_inferiority(0.05, 0.2, -0.06)
    with pytest.raises(Unreachable, match="discordant"):
        pairs_for_non_inferiority(0.05, 0.02, -0.03)


def test_exams_and_years_follow_from_the_cancers() -> None:
    plan = planned(286, 6.0, yearly=30_000, allowed=8)
    assert (plan.exams, plan.allowed) == (47_667, 8)
    assert plan.years == pytest.approx(1.589, abs=1e-3)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(["plan"]), ["plan", *arguments])


def test_the_command_tells_the_plan() -> None:
    told = command("misses", "--limit", "5", "--expected", "2", "--yearly", "30000", "--json").stdout
    assert json.loads(told) == {"cancers": 286, "exams": 47667, "years": 47667 / 30000, "allowed": 8}
    assert "at most 8 of them" in command("misses", "--limit", "5", "--expected", "2").stdout
    assert "798 cancers" in command("width", "--expected", "75", "--plus-minus", "3").stdout
    assert "407 cancers" in command("non-inferiority", "--margin", "5", "--discordant", "12").stdout


def test_the_command_refuses_what_cannot_be_shown() -> None:
    refused = command("misses", "--limit", "2", "--expected", "3").exception
    assert isinstance(refused, ConfigError)
    assert "below the limit" in str(refused)
