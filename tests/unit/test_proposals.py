"""Proposals of reference windows: what they bring the shares to, and how sure they say they are."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from ai.calibration import ALL, SCREENING, Calibration, OperatingPoints, ReferenceWindow
from ai.findings import Category, Stratum
from ai.placing import Scale
from ai.proposals import FEWEST, Proposal, ScoredExam, adopted, by_stratum, propose, share_below, threshold
from tests.support import shared_data

OLD = Stratum(manufacturer="Vendor A", manufacturer_model_name="X", software_versions="1")
NEW = Stratum(manufacturer="Vendor A", manufacturer_model_name="X", software_versions="2")
OTHER = Stratum(manufacturer="Vendor B", manufacturer_model_name="Y", software_versions="1")
POINTS = OperatingPoints()
WINDOW = ReferenceWindow.of(np.linspace(0, 1, 101), [OLD, OTHER])
CURRENT = Calibration(version="7", windows={ALL: WINDOW})
Scores = NDArray[np.float64]


def exams(scores: Scores, stratum: Stratum = NEW) -> list[ScoredExam]:
    return [ScoredExam(str(n), stratum, float(score), f"2026{n % 12 + 1:02d}01") for n, score in enumerate(scores)]


def drawn(count: int, seed: int = 1) -> Scores:
    return np.random.default_rng(seed).beta(1.5, 6, count)


def proposal(*strata: list[ScoredExam], scale: str = SCREENING) -> Proposal:
    pooled = np.array([exam.score for each in strata for exam in each])
    return Proposal(
        made_at=datetime.now(UTC),
        made_by="somebody",
        software_version="1",
        source="a test",
        data_sha256="0" * 64,
        model_name="m",
        model_version="1",
        weights_sha256="1" * 64,
        scale=scale,
        based_on="7",
        pooled=ReferenceWindow.of(pooled),
        strata=tuple(propose(each, CURRENT, POINTS) for each in strata),
    )


def test_a_proposal_tells_what_it_changes_and_where_that_comes_from() -> None:
    found = propose(exams(drawn(1000)), CURRENT, POINTS)
    assert (found.exams, found.stratum, found.window.strata) == (1000, NEW, (NEW,))
    assert found.current_window == "all (borrowed)"
    assert (found.first_study_date, found.last_study_date) == ("20260101", "20261201")
    assert found.proposed_bands == pytest.approx([0.1] * 10, abs=0.002)
    assert sum(found.current_bands) == pytest.approx(1)
    assert [each.what for each in found.shares] == ["below the rule-out point", "top 10 %", "flagged"]
    assert [each.proposed for each in found.shares] == pytest.approx([0.7, 0.1, 0.03], abs=0.002)
    assert [each.percentile for each in found.thresholds] == [70, 90, 97]
    for each in (*found.thresholds, *found.shares):
        assert each.low < (each.score if hasattr(each, "score") else each.proposed) < each.high
    assert propose(exams(drawn(1000), OTHER), CURRENT, POINTS).current_window == ALL


def test_the_stated_intervals_hold_what_they_say() -> None:
    """In 400 samples from a known population, 95 % of intervals should hold the truth; ± 4 is over three errors."""
    population = drawn(400_000, seed=2)
    wanted = (70.0, 90.0, 97.0)
    truth = np.percentile(population, wanted)
    rng, held = np.random.default_rng(3), np.zeros((400, 2, 3), bool)
    for number in range(400):
        sample = np.sort(rng.choice(population, 500))
        for column, percentile in enumerate(wanted):
            found = threshold(sample, percentile)
            low, high = share_below(500, percentile)
            held[number, 0, column] = found.low <= truth[column] <= found.high
            held[number, 1, column] = low <= np.mean(population < found.score) <= high
    assert np.abs(held.mean(axis=0) - 0.95).max() < 0.04, held.mean(axis=0)


def test_more_exams_make_it_surer() -> None:
    widths = [np.ptp(share_below(count, 70.0)) for count in (200, 1000, 5000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[1] == pytest.approx(0.057, abs=0.002)


def test_too_few_exams_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {FEWEST}"):
        propose(exams(drawn(FEWEST - 1)), CURRENT, POINTS)


def test_exams_are_parted_by_stratum_the_largest_first() -> None:
    same = Stratum(manufacturer="VENDOR A ", manufacturer_model_name="x", software_versions="2")
    groups = by_stratum([*exams(drawn(5), OTHER), *exams(drawn(4), NEW), *exams(drawn(3), same)])
    assert [len(group) for group in groups.values()] == [7, 5]


def test_an_adopted_window_is_its_stratums_only_one_and_the_others_stay() -> None:
    made = adopted(CURRENT, proposal(exams(drawn(500), OLD), exams(drawn(500), NEW)), "7+site.1")
    assert made.version == "7+site.1"
    assert made.window_of(OLD) == str(OLD)
    assert made.window_of(NEW) == str(NEW)
    assert made.window_of(OTHER) == ALL
    again = adopted(made, proposal(exams(drawn(600, seed=5), NEW)), "7+site.2")
    assert again.windows[str(NEW)].exams == 600
    assert again.windows[str(OLD)] == made.windows[str(OLD)]


def test_windows_of_another_scale_do_not_stay_beside_the_new_ones() -> None:
    given = proposal(exams(drawn(500), NEW), scale="with_priors, change_weight 0.5")
    made = adopted(CURRENT, given, "7+site.1")
    assert made.scale == "with_priors, change_weight 0.5"
    assert set(made.windows) == {ALL, str(NEW)}
    assert made.window_of(OTHER) is None
    assert made.windows[ALL].scores == given.pooled.scores


# --- real scores of one system before and after an update of its software


def shared_scores(name: str) -> Scores:
    with (shared_data("drift") / f"{name}.csv").open() as file:
        return np.array([float(row["pred1"]) for row in csv.DictReader(file)])


def shares(scores: Scores, calibration: Calibration, stratum: Stratum) -> tuple[float, float, float]:
    """Ruled out (NEGATIVE), top tenth, and told to be without a reference population; 0–1."""
    scale = Scale(calibration, POINTS, scores=SCREENING)
    placed = [scale.place(float(score), [stratum]) for score in scores]
    return (
        float(np.mean([each.category is Category.NEGATIVE for each in placed])),
        float(np.mean([each.percentile >= 90 for each in placed])),
        float(np.mean([bool(each.cautions) for each in placed])),
    )


def test_a_thousand_unlabelled_exams_bring_an_updated_systems_shares_back() -> None:
    before, after = shared_scores("A"), shared_scores("A_after_update")
    own = Calibration(version="1", windows={ALL: ReferenceWindow.of(before, [OLD])})
    assert shares(before[::10], own, OLD) == pytest.approx((0.7, 0.1, 0.0), abs=0.03)
    order = np.random.default_rng(1).permutation(len(after))  # the table is sorted by outcome
    chosen, rest = after[order[:1000]], after[order[1000:]]
    # the update alone makes another stratum: nothing is ruled out on the old thresholds, and the share would be wrong
    ruled_out, top, unknown = shares(rest[::10], own, NEW)
    assert (ruled_out, unknown) == (0, 1)
    assert top > 0.18
    given = Proposal.model_validate(
        {**proposal(exams(chosen)).model_dump(), "strata": [propose(exams(chosen), own, POINTS)]}
    )
    ruled_out, top, unknown = shares(rest, adopted(own, given, "1+site.1"), NEW)
    assert abs(ruled_out - 0.70) <= 0.025, f"ruled out {ruled_out:.1%}"
    assert abs(top - 0.10) <= 0.02, f"top tenth {top:.1%}"
    assert unknown == 0
    low, high = share_below(1000, 70.0)
    assert low <= ruled_out <= high


def test_the_stated_interval_holds_the_updated_systems_shares_too() -> None:
    """Over 300 draws of a thousand: the share that results lies where the proposal says it will."""
    after, rng, held = shared_scores("A_after_update"), np.random.default_rng(4), []
    for _ in range(300):
        order = rng.permutation(len(after))
        chosen, rest = after[order[:1000]], after[order[1000:]]
        for percentile in (70.0, 90.0):
            low, high = share_below(1000, percentile)
            held.append(low <= np.mean(rest < np.percentile(chosen, percentile)) <= high)
    assert 0.90 <= np.mean(held) <= 0.99, f"{np.mean(held):.1%}"
