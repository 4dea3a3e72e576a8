"""What the report says of a cohort: counted again here, by other means, from the same rows."""

from __future__ import annotations

import math
import re

import numpy as np
import polars as pl
import pytest
from scipy import stats

from ai.evaluation import drawn_rounds, report
from ai.evaluation.assessment import Assessment, Questions, assess
from ai.evaluation.reliability import reliability
from ai.evaluation.simulated import Programme

ASKED = Questions(draws=50)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return drawn_rounds.cohort(Programme(exams=12_000, not_read=0.03), seed=3)


@pytest.fixture(scope="module")
def found(table: pl.DataFrame) -> Assessment:
    return assess(table, ASKED)


def placed(table: pl.DataFrame) -> pl.DataFrame:
    """The read exams with the share of their system's that score lower."""
    read = table.filter(pl.col("gate") == "READ")
    lower = (pl.col("ai_score").rank("min").over("manufacturer_model_name") - 1) / pl.len().over(
        "manufacturer_model_name"
    )
    return read.with_columns(lower.alias("position"))


def test_every_exam_is_somewhere_in_the_flow(table: pl.DataFrame, found: Assessment) -> None:
    flow = found.flow
    assert flow.exams == table.height == flow.read + sum(flow.not_read.values())
    assert flow.read == flow.no_outcome + flow.small_stratum + flow.evaluated
    assert flow.evaluated == sum(flow.outcomes.values())
    unread = table.filter(pl.col("gate") != "READ")
    assert flow.not_read == {"BREAST_IMPLANT": unread.height}
    assert flow.cancers_not_read == unread.filter(pl.col("outcome").is_in(["SDC", "IC"])).height


def test_ruling_out_is_counted_right(table: pl.DataFrame, found: Assessment) -> None:
    rows = placed(table)
    for told in found.rule_out:
        below = rows.filter(pl.col("position") < told.position)
        counts = dict(below["outcome"].value_counts().iter_rows())
        assert told.ruled_out.count == below.height
        assert (told.missed_sdc.count, told.missed_ic.count) == (counts.get("SDC", 0), counts.get("IC", 0))
        assert told.sdc_per_10000.of == below.height
    assert [told.position for told in found.rule_out] == [0.5, 0.7, 0.9]
    values = [each.missed_ic.value for each in found.rule_out_curve]
    assert values == sorted(values), "who rules out more misses no less"


def test_areas_are_mann_whitneys(table: pl.DataFrame, found: Assessment) -> None:
    rows = table.filter(pl.col("gate") == "READ")
    for curve, (cancers, others) in zip(
        found.curves, [(["SDC"], ["NONE", "NEXT"]), (["SDC", "IC"], ["NONE", "NEXT"])], strict=True
    ):
        a, b = (rows.filter(pl.col("outcome").is_in(kind))["ai_score"].to_numpy() for kind in (cancers, others))
        assert curve.area.estimate.value == pytest.approx(stats.mannwhitneyu(a, b).statistic / len(a) / len(b))
        under = np.trapezoid(curve.true_positive, curve.false_positive)
        assert under == pytest.approx(curve.area.estimate.value, abs=0.005), "the drawn curve has the told area"


def test_every_cancer_below_the_line_is_listed(table: pl.DataFrame, found: Assessment) -> None:
    rows = placed(table).filter((pl.col("position") < 0.7) & pl.col("outcome").is_in(["SDC", "IC", "NEXT"]))
    assert {each.exam_id for each in found.ruled_out_cancers} == set(rows["exam_id"])
    order = [(["SDC", "IC", "NEXT"].index(each.outcome), each.percentile) for each in found.ruled_out_cancers]
    assert order == sorted(order)


def test_points_and_comparisons_are_counted_right(table: pl.DataFrame, found: Assessment) -> None:
    rows = placed(table)
    cancer = pl.col("outcome").is_in(["SDC", "IC"])
    first = next(each for each in found.points if each.who == "first reader" and each.cancers == "SDC + IC")
    assert first.sensitivity.count == rows.filter(cancer & (pl.col("r1") >= 2)).height
    assert first.specificity.count == rows.filter(~cancer & (pl.col("r1") < 2)).height
    ruled_out = next(each for each in found.comparisons if each.new_way.startswith("rule-out"))
    lost = rows.filter(cancer & pl.col("recalled") & (pl.col("position") < 0.7)).height
    assert (ruled_out.pairs.gained, ruled_out.pairs.lost) == (0, lost)


def test_strata_add_up(found: Assessment) -> None:
    for kind in ("system", "round", "year"):
        parts = [each for each in found.strata if each.kind == kind]
        assert sum(each.exams for each in parts) == found.flow.evaluated
        assert sum(each.sdc for each in parts) == found.flow.outcomes["SDC"]


def test_a_table_with_nothing_but_scores_and_outcomes_is_evaluated(table: pl.DataFrame) -> None:
    bare = table.select("exam_id", "woman_id", "round", "study_date", "outcome", "ai_score")
    told = assess(bare, ASKED)
    assert told.comparisons == ()
    assert {each.who.split(",")[0] for each in told.points} == {"AI"}
    assert told.flow.not_read == {"NO_SCORE": bare["ai_score"].null_count()}


def test_a_poor_table_still_gives_a_page(table: pl.DataFrame) -> None:
    """No readers, no screen-detected cancer, no interval cancer but a few, scores that are no probabilities."""
    poor = table.select("exam_id", "woman_id", "round", "study_date", pl.col("ai_score") * 10 - 5, "outcome")
    found = assess(poor.with_columns(pl.col("outcome").replace("SDC", "NONE")), ASKED)
    used = {"software": "this", "made": "today"}
    page = report.page(found, report.result(found, used, {}), "Poor & bare")
    assert "Poor &amp; bare" in page
    assert "they are no probabilities" in page
    assert "no readers' scores" in page
    assert not re.search(r"\bnan\b", re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL))


def test_that_readers_saw_the_ai_is_told(table: pl.DataFrame) -> None:
    seen = assess(table.with_columns((pl.int_range(pl.len()) < 100).alias("ai_visible")), ASKED)
    assert seen.flow.ai_visible == table.head(100).filter(pl.col("gate") == "READ").height


def test_a_system_with_too_few_exams_is_left_out_and_counted(table: pl.DataFrame) -> None:
    name = pl.when(pl.int_range(pl.len()) < 60).then(pl.lit("Rare")).otherwise(pl.col("manufacturer_model_name"))
    told = assess(table.with_columns(name.alias("manufacturer_model_name")), ASKED)
    rare = table.head(60).filter(pl.col("gate") == "READ").height
    assert told.flow.small_stratum == rare
    assert not any("Rare" in each.name for each in told.strata)


def test_without_outcomes_there_is_nothing_to_evaluate(table: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="no exam has an outcome"):
        assess(table.with_columns(pl.lit(None, pl.String).alias("outcome")), ASKED)


def test_a_score_that_is_the_probability_is_calibrated() -> None:
    rng = np.random.default_rng(1)
    truth = rng.beta(0.3, 12, 60_000)
    found = reliability(truth, rng.random(60_000) < truth)
    assert found.ece < 0.003
    assert found.expected_to_observed == pytest.approx(1, abs=0.06)
    assert found.brier < found.brier_of_prevalence
    twice = reliability(truth / 2, rng.random(60_000) < truth)
    assert twice.expected_to_observed == pytest.approx(0.5, abs=0.04)
    assert sum(each.observed.of for each in found.bins) == 60_000


def test_scores_that_are_no_probabilities_have_no_brier_score() -> None:
    scores = np.random.default_rng(2).normal(size=500)
    found = reliability(scores, scores > 1)
    assert math.isnan(found.brier)
    assert found.bins[0].observed.count == 0


def test_tied_scores_give_fewer_bins_that_still_hold_every_exam() -> None:
    scores = np.repeat([0.0, 0.1, 0.9], [500, 300, 200])
    found = reliability(scores, scores > 0.5)
    assert sum(each.observed.of for each in found.bins) == 1000
    assert found.bins[-1].observed.value == 1
