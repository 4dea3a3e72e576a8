"""Simulated programmes: seeded, well formed, with the programme's published rates and the parameters asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ai import cohort
from ai.evaluation import drawn_rounds
from ai.evaluation.exams import exams
from ai.evaluation.simulated import KINDS, Kind, Programme

USUAL = drawn_rounds.cohort(Programme(exams=150_000, not_read=0), seed=4)


def test_the_usual_programme_has_about_the_published_rates() -> None:
    """Larsen et al. 2022 (0.61 % SDC, 0.17 % IC, 8.8 % consensus, 3.2 % recall), Martiniussen et al. 2022 (23 %)."""
    found = exams(USUAL).exams
    assert found.sdc.mean() == pytest.approx(0.0061, rel=0.1)
    assert found.ic.mean() == pytest.approx(0.0017, rel=0.15)
    assert found.held.mean() == pytest.approx(0.088, rel=0.05)
    assert found.recalled.mean() == pytest.approx(0.032, rel=0.06)
    assert (found.p1 != found.p2)[found.sdc].mean() == pytest.approx(0.23, abs=0.03)
    assert found.at(0.899)[found.sdc].mean() == pytest.approx(0.868, abs=0.04)
    assert found.at(0.899)[found.ic].mean() == pytest.approx(0.449, abs=0.09)
    assert found.below(0.7)[found.sdc].mean() < 0.03


def test_it_is_a_cohort_table_without_a_fault(tmp_path: Path) -> None:
    table = drawn_rounds.cohort(Programme(exams=2000), seed=9)
    cohort.write(table, tmp_path / "table.csv")
    assert cohort.read(tmp_path / "table.csv").equals(table)


def test_the_seed_decides_everything() -> None:
    one, same, other = (drawn_rounds.cohort(Programme(exams=500), seed=each) for each in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_readers_see_what_they_are_told_to_see() -> None:
    kinds = {"mass": Kind(1.0, 0.9, 0.5)}
    table = drawn_rounds.cohort(Programme(exams=60_000, rounds=1, shown=0.1, hidden=0, kinds=kinds), seed=3)
    ill = table.filter(pl.col("outcome") != "NONE")
    assert (ill["r1"] > 1).mean() == pytest.approx(0.9, abs=0.02)
    assert (ill["r2"] > 1).mean() == pytest.approx(0.5, abs=0.02)
    assert set(KINDS) > set(kinds)


def test_a_womans_rounds_follow_each_other_and_end_with_cancer() -> None:
    ordered = USUAL.sort("woman_id", "round")
    last = pl.col("round") == pl.col("round").max().over("woman_id")
    assert ordered.filter(pl.col("outcome").is_in(["SDC", "IC"]) & ~last).is_empty()
    after = pl.col("outcome").shift(-1).over("woman_id")
    following = ordered.with_columns(after.alias("after")).filter(pl.col("outcome") == "NEXT")
    assert set(following["after"].drop_nulls()) <= {"SDC", "IC", "NEXT"}
    gap = ordered.select(pl.col("study_date").diff().over("woman_id").dt.total_days())["study_date"].drop_nulls()
    assert gap.is_between(650, 800).all()


def test_the_prior_score_is_that_of_the_round_before() -> None:
    ordered = USUAL.sort("woman_id", "round")
    before = ordered["ai_score"].shift().set(ordered["round"] == 1, None)
    assert ordered["prior_ai_score"].equals(before, null_equal=True, check_names=False)


def test_a_growing_lesion_was_less_suspicious_a_round_before() -> None:
    ill = USUAL.filter((pl.col("outcome") == "SDC") & pl.col("prior_ai_score").is_not_null())
    rise = (ill["ai_score"] - ill["prior_ai_score"]).to_numpy()
    others = USUAL.filter((pl.col("outcome") == "NONE") & pl.col("prior_ai_score").is_not_null())
    assert np.median(rise) > 0.2
    assert abs(np.median((others["ai_score"] - others["prior_ai_score"]).to_numpy())) < 0.01


@pytest.mark.parametrize("stability", [0.0, 0.9])
def test_a_healthy_breast_is_as_stable_as_asked(stability: float) -> None:
    table = drawn_rounds.cohort(Programme(exams=8000, systems=1, shown=0, hidden=0, stability=stability), seed=2)
    both = table.filter(pl.col("prior_ai_score_left").is_not_null() & pl.col("ai_score_left").is_not_null())
    found = both.select(pl.corr("ai_score_left", "prior_ai_score_left", method="spearman")).item()
    assert found == pytest.approx(stability, abs=0.05)


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: 1 or more"):
        Programme(exams=0)
