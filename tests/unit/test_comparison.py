"""Strategies compared: by hand on a few exams, by what must hold on any, and the bootstrap against a plain one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ai.evaluation import drawn_rounds, strategies
from ai.evaluation import exams as arrays
from ai.evaluation.bootstrap import resampled
from ai.evaluation.comparison import Comparison, Estimate, Result, compare
from ai.evaluation.decisions import HI, LO, MID, Assumptions, Decisions, Replay, meeting
from ai.evaluation.exams import Exams
from ai.evaluation.metrics import metrics
from ai.evaluation.simulated import Programme
from ai.evaluation.strategies import Variant
from ai.evaluation.tally import counts, kinds, sums

SIMULATED = arrays.exams(drawn_rounds.cohort(Programme(exams=4000, shown=0.03), seed=11)).exams


def few(**columns: Sequence[object]) -> Exams:
    """Exams by hand: of a woman each, the AI's position as told; the rest nothing found."""
    size = len(next(iter(columns.values())))
    plain = {
        "women": np.arange(size),
        "strata": np.zeros(size, np.int64),
        "days": np.zeros(size, np.int64),
        "r1": np.ones(size, np.int64),
        "r2": np.ones(size, np.int64),
        **{name: np.zeros(size, bool) for name in ("held", "recalled", "sdc", "ic")},
        "follows_ai": np.ones(size, bool),
        "position": np.full(size, 0.5),
        "change": np.full(size, np.nan),
        "right_side": np.ones(size, bool),
    }
    return Exams(**{**plain, **{name: np.array(values) for name, values in columns.items()}})


def decided(exams: Exams, text: str, **assumed: float) -> Decisions:
    (variant,) = strategies.parse(text)
    return strategies.decided(variant, Replay(exams, meeting(exams, Assumptions(**assumed))))


def result(found: Comparison, name: str) -> Result:
    return next(each for each in found.results if each.name == name)


# five exams: nobody saw it; seen by one, dismissed; SDC seen by both; IC that only the AI saw; SDC that only r2 saw
FIVE = few(
    r1=[1, 2, 4, 1, 1],
    r2=[1, 1, 3, 1, 2],
    held=[False, True, True, False, True],
    recalled=[False, False, True, False, True],
    sdc=[False, False, True, False, True],
    ic=[False, False, False, True, False],
    position=[0.1, 0.6, 0.99, 0.95, 0.3],
)

BY_HAND = {  # reads, called, recalled lo, ruled out
    "s0": ([2, 2, 2, 2, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s1 t=0.9": ([1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    "s1b t=0.9": ([1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s2 lower=0.5": ([0, 2, 2, 2, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 1]),
    "s3 lower=0.2": ([0, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]),
    "s4 lower=0.5": ([1, 2, 2, 2, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    "s5 lower=0.2 top=0.9": ([1, 2, 2, 2, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s6 lower=0.2 middle=0.5": ([0, 2, 2, 2, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]),
    "s6r lower=0.2 middle=0.5": ([0, 1, 1, 1, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]),
    "s7 normal=0.5 safety=0.9": ([0, 2, 2, 2, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 1]),
    "s7b safety=0.9 accepted=0.5": ([2, 2, 2, 2, 2], [0, 1, 1, 0.5, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s8 lower=0.2 top=0.9": ([0, 2, 0, 0, 2], [0, 1, 0, 0, 1], [0, 0, 1, 1, 1], [1, 0, 0, 0, 0]),
    "s9 t=0.9": ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 0, 0, 1]),
    "s10 t=0.5": ([1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    "s11 t=0.9": ([2, 2, 2, 2, 2], [0, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s12 t=0.9": ([2, 2, 2, 3, 2], [0, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s13 t=0.9": ([1, 2, 1, 2, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    "s14 t=0.7": ([2, 2, 2, 2, 2], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    "s15 lower=0.2": ([0, 2, 2, 2, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]),
    "s16 lower=0.5": ([2, 2, 2, 2, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
    "s17": ([2, 2, 2, 2, 2], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("text", BY_HAND)
def test_each_rule_by_hand(text: str) -> None:
    reads, called, recalled, ruled_out = BY_HAND[text]
    found = decided(FIVE, text)
    assert found.reads.tolist() == reads
    assert found.called.tolist() == called
    assert found.recall[LO].tolist() == recalled
    assert found.ruled_out.tolist() == [bool(each) for each in ruled_out]


def test_every_strategy_is_in_the_table_by_hand() -> None:
    assert {text.split()[0] for text in BY_HAND} == set(strategies.offered())


def test_a_meeting_never_held_is_told_three_times() -> None:
    exams = few(
        r1=[2, 2, 2, 1, 1, 1],
        held=[True, True, True, False, False, False],
        recalled=[True, False, False, False, False, False],
        sdc=[False] * 6,
        ic=[False, False, False, True, True, False],
        right_side=[True, True, True, True, False, True],
    )
    others = 1 / 3  # of three single positives without cancer one was recalled
    by = meeting(exams, Assumptions(recall_of_flagged=0.8)).by
    assert by[LO].tolist() == [1, 0, 0, 0, 0, 0]
    assert by[MID] == pytest.approx([1, 0, 0, 0.8, others, others])
    assert by[HI].tolist() == [1, 0, 0, 1, 1, 0]


def test_the_prior_lets_rule_out_and_a_rise_does_not() -> None:
    exams = few(position=[0.1, 0.1, 0.1, 0.9], change=[0.2, 0.95, np.nan, 0.2])
    assert decided(exams, "s16 lower=0.5 change=0.9").ruled_out.tolist() == [True, False, False, False]


def test_the_worklist_is_by_day_and_stratum_and_the_highest_first() -> None:
    exams = few(position=[0.1, 0.9, 0.5, 0.2, np.nan], days=[0, 0, 1, 1, 1], strata=[0, 0, 0, 0, 0])
    assert decided(exams, "s17").place == pytest.approx([0.75, 0.25, 1 / 6, 0.5, 5 / 6])
    assert decided(exams, "s0").place.tolist() == [0.5] * 5


@pytest.mark.parametrize("name", ["s2", "s3", "s4", "s6", "s8"])
def test_without_a_lower_threshold_nothing_is_ruled_out(name: str) -> None:
    assert not decided(SIMULATED, f"{name} lower=0").ruled_out.any()


@given(st.sampled_from(["s2 lower=0", "s4 lower=0", "s16 lower=0", "s7 normal=0 safety=1", "s14 t=0"]))
def test_at_its_end_a_strategy_is_double_reading(text: str) -> None:
    found, double = decided(SIMULATED, text), decided(SIMULATED, "s0")
    assert all(np.array_equal(getattr(found, each.name), getattr(double, each.name)) for each in fields(found))


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_rules_out_more_and_detects_no_more(one: float, other: float) -> None:
    low, high = (decided(SIMULATED, f"s2 lower={each:.6f}") for each in sorted((one, other)))
    assert (low.ruled_out <= high.ruled_out).all()
    assert (low.recall >= high.recall).all()


def test_metrics_by_hand() -> None:
    found = compare(FIVE, strategies.parse("s2 lower=0.5"), Assumptions(), draws=0, seed=1)
    double, rule_out = (result(found, name).metrics for name in ("S0", "S2 lower=0.5"))
    values = {name: each.value for name, each in rule_out.items()}
    expected = {
        "reads": 1.2,
        "workload": 2.0,
        "consensus_pct": 40,
        "ruled_out_pct": 40,
        "missed_sdc": 1,
        "missed_ic": 0,
    }
    expected |= {"missed_sdc_per_10000": 5000, "missed_sdc_pct": 50, "recall_pct_lo": 20, "sdc_per_1000_lo": 200}
    expected |= {"sensitivity_pct_lo": 100 / 3, "specificity_pct_lo": 100, "ppv_pct_lo": 100, "npv_pct_lo": 50}
    expected |= {"ic_per_1000_lo": 200, "lost_lo": 1, "gained_lo": 0, "detected_per_1000_lo": 200}
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    assert rule_out["lost_hi"].value == 1
    assert rule_out["reads"].difference == pytest.approx(-0.8)
    assert double["missed_sdc_per_10000"].value is None, "nothing was ruled out"


def test_the_sweep_moves_with_the_chance_that_a_flagged_cancer_is_recalled() -> None:
    swept = result(compare(FIVE, strategies.parse("s11 t=0.9"), Assumptions(), draws=0, seed=1), "S11 t=0.9").sweep
    again = {
        each: result(
            compare(FIVE, strategies.parse("s11 t=0.9"), Assumptions(recall_of_flagged=each), draws=0, seed=1),
            "S11 t=0.9",
        ).metrics["detected_per_1000_mid"]
        for each in swept
    }
    assert swept == pytest.approx({each: found.value for each, found in again.items()})
    assert swept[1.0] > swept[0.2]


def plain(
    exams: Exams, found: Decisions, double: Decisions, weights: NDArray[np.uint16]
) -> dict[str, NDArray[np.float64]]:
    """The sums of some metrics, exam by exam, without kinds of exam."""
    w = weights[:, exams.women].astype(float)
    gained = np.maximum(found.recall[MID] - double.recall[MID], 0) * exams.cancer
    columns = {"reads": found.reads, "recall_mid": found.recall[MID], "gained_mid": gained}
    columns |= {"ruled_out_ic": found.ruled_out * exams.ic, "waited": found.place * exams.cancer}
    return {name: w @ column for name, column in columns.items()}


@pytest.mark.parametrize("text", ["s2 lower=0.7", "s12 t=0.97", "s17", "s7b"])
def test_the_sums_of_each_draw_are_those_of_its_exams(text: str) -> None:
    (variant,) = strategies.parse(text)
    replay = Replay(SIMULATED, meeting(SIMULATED, Assumptions()))
    decisions = [strategies.decided(each, replay) for each in (Variant("s0"), variant)]
    _, drawn = sums(replay, decisions, 30, 5)
    weights = np.concatenate(list(resampled(SIMULATED.women, 30, 5)))
    for name, expected in plain(SIMULATED, decisions[1], decisions[0], weights).items():
        assert drawn[1][name] == pytest.approx(expected, rel=1e-9), name


def test_kinds_are_few_and_every_exam_has_one() -> None:
    replay = Replay(SIMULATED, meeting(SIMULATED, Assumptions()))
    found = kinds(replay, [strategies.decided(each, replay) for each in strategies.everything()])
    assert len(found.example) < len(SIMULATED) / 5
    assert (found.of[found.example] == np.arange(len(found.example))).all()
    drawn = np.concatenate(list(counts(SIMULATED.women, found.of, 3, 1)))
    assert drawn.shape == (3, len(found.example))


def test_the_order_of_the_rows_changes_no_value() -> None:
    order = np.random.default_rng(1).permutation(len(SIMULATED))
    shuffled = Exams(**{each.name: getattr(SIMULATED, each.name)[order] for each in fields(SIMULATED)})
    first, again = (
        compare(each, strategies.everything(), Assumptions(), draws=20, seed=3) for each in (SIMULATED, shuffled)
    )
    for one, other in zip(first.results, again.results, strict=True):
        for name, estimate in one.metrics.items():
            told, expected = other.metrics[name], estimate
            if name == "waited":
                continue  # equal scores of a day come in any order
            assert _numbers(told) == pytest.approx(_numbers(expected), nan_ok=True), (one.name, name)


def _numbers(estimate: Estimate) -> list[float]:
    return [np.nan if each is None else each for each in (getattr(estimate, part.name) for part in fields(estimate))]


def test_intervals_are_clustered_and_hold_the_value() -> None:
    """Each woman's exam taken four times tells no more about her, so the interval is as wide as before."""
    each, woman = SIMULATED, np.arange(len(SIMULATED))
    alone = replace(each, women=woman)
    fourfold = Exams(**{f.name: np.tile(getattr(alone, f.name), 4) for f in fields(alone)})
    variants = strategies.parse("s2 lower=0.7")
    widths = []
    for exams in (alone, fourfold):
        found = result(compare(exams, variants, Assumptions(), draws=300, seed=2), "S2 lower=0.7").metrics
        estimate = found["sdc_per_1000_lo"]
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-6)


def test_where_no_cancer_was_ruled_out_the_interval_does_not_end_at_none() -> None:
    """Of n exams without an event the exact 97.5 % limit is 1 - 0.025^(1/n) (Clopper and Pearson, 1934)."""
    exams = few(position=[0.1] * 300 + [0.9] * 100, sdc=[False] * 399 + [True])
    found = result(compare(exams, strategies.parse("s2 lower=0.5"), Assumptions(), draws=50, seed=1), "S2 lower=0.5")
    estimate = found.metrics["missed_sdc_per_10000"]
    assert (estimate.value, estimate.low) == (0, 0)
    assert estimate.high == pytest.approx(10_000 * (1 - 0.025 ** (1 / 300)))


def test_metrics_have_a_meaning_each() -> None:
    assert all(metric.meaning for metric in metrics(Assumptions()).values())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("s99", "strategy 's99' is not offered; there is: s0, s1, s1b, s2"),
        ("s2 upper=0.5", "strategy 's2' has no parameter 'upper'; its parameters are: lower"),
        ("s2 lower=70", "strategy 's2', lower: value '70' is not allowed; allowed: 0 to 1"),
        ("s0 t=0.5", "its parameters are: none"),
    ],
)
def test_a_strategy_that_cannot_be_is_named_with_what_there_is(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        strategies.parse(text)
