"""Operating points: bounds on misses that hold, quantiles where labels do not reach, a history of decisions."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.stats import beta

from ai import cohort
from ai.calibration import ALL, SCREENING, Calibration, OperatingPoints, ReferenceWindow
from ai.findings import Category, Stratum
from ai.operating_points import (
    Basis,
    LabelledExam,
    Limits,
    SitePoints,
    StratumPoints,
    needed,
    propose,
    rank_within,
    window_sha256,
)
from ai.placing import OTHER_SOFTWARE, Scale
from node.errors import ConfigError
from tests.support_audit import trail_of
from tests.support_commands import printed

STRATUM = Stratum(manufacturer="Vendor A", manufacturer_model_name="X", software_versions="1")
OTHER = Stratum(manufacturer="Vendor A", manufacturer_model_name="X", software_versions="2")
WINDOW = ReferenceWindow.of(np.linspace(0, 1, 2001), [STRATUM])
CALIBRATION = Calibration(version="7", windows={ALL: WINDOW})
LIMITS = Limits(misses=0.05)


def exams(cancers: int, healthy: int = 1000, seed: int = 1) -> list[LabelledExam]:
    rng = np.random.default_rng(seed)
    found = [LabelledExam(STRATUM, float(score), True) for score in rng.beta(4, 1.5, cancers)]
    return found + [LabelledExam(STRATUM, float(score), False) for score in rng.random(healthy)]


def test_from_enough_labels_the_bound_on_misses_is_the_exact_binomial_one() -> None:
    found = propose(exams(300), CALIBRATION, LIMITS, OperatingPoints()).rule_out
    assert (found.basis, found.of) == (Basis.LABELS, 300)
    missed = found.missed or 0
    assert beta.ppf(0.95, missed + 1, 300 - missed) == pytest.approx(found.bound)
    assert found.bound <= 0.05
    assert beta.ppf(0.95, missed + 2, 300 - missed - 1) > 0.05, "one more miss would be beyond the limit"


def test_the_limit_holds_as_often_as_it_says() -> None:
    """Over 2,000 cohorts: the population's true share of cancers below the point is within the limit in 95 %."""
    rng, within = np.random.default_rng(2), []
    rank = rank_within(120, 0.05, 0.95)
    for _ in range(2000):
        point = np.sort(rng.beta(4, 1.5, 120))[rank - 1]
        within.append(beta.cdf(point, 4, 1.5) <= 0.05)
    assert np.mean(within) >= 0.935, f"{np.mean(within):.1%}"


def test_too_few_cancers_make_it_quantiles_which_say_nothing_of_misses() -> None:
    assert needed(LIMITS) == 59
    assert needed(Limits()) == 149
    assert propose(exams(59), CALIBRATION, LIMITS, OperatingPoints()).rule_out.basis is Basis.LABELS
    found = propose(exams(58), CALIBRATION, LIMITS, OperatingPoints(rule_out_percentile=66))
    assert (found.rule_out.basis, found.rule_out.percentile) == (Basis.QUANTILES, 66)
    assert "not known" in found.rule_out.what
    assert found.flag.basis is Basis.LABELS


def test_the_flag_point_keeps_exams_without_cancer_within_the_limit() -> None:
    found = propose(exams(0, 3000), CALIBRATION, Limits(flagged=0.03), OperatingPoints()).flag
    assert (found.basis, found.of) == (Basis.LABELS, 3000)
    assert (found.missed or 0) / 3000 < 0.03
    assert 97 < found.percentile < 98.5
    unlabelled = [LabelledExam(STRATUM, each.score, None) for each in exams(0)]
    assert propose(unlabelled, CALIBRATION, Limits(), OperatingPoints()).flag.percentile == 97


def test_a_stratum_without_a_window_or_with_few_exams_is_refused() -> None:
    with pytest.raises(ValueError, match="calibrate first"):
        propose([LabelledExam(OTHER, 0.5, None)] * 300, CALIBRATION, LIMITS, OperatingPoints())
    with pytest.raises(ValueError, match="at least 200"):
        propose(exams(0, 150), CALIBRATION, LIMITS, OperatingPoints())


def own_points(rule_out: float, window: ReferenceWindow = WINDOW) -> SitePoints:
    points = OperatingPoints(rule_out_percentile=rule_out, flag_percentile=90)
    own = StratumPoints(stratum=STRATUM, points=points, window_sha256=window_sha256(window))
    return SitePoints(version="points.1", strata=(own,))


def test_an_exam_is_judged_by_the_points_of_its_stratum() -> None:
    scale = Scale(CALIBRATION, own_points(40), scores=SCREENING)
    assert scale.points_version == "points.1"
    assert [scale.place(score, [STRATUM]).category for score in (0.39, 0.41, 0.91)] == [
        Category.NEGATIVE,
        Category.INDETERMINATE,
        Category.SUSPICIOUS,
    ]
    elsewhere = scale.place(0.95, [OTHER])
    assert elsewhere.category is Category.INDETERMINATE, "by everybody's flag point, 97"
    assert [each.detail for each in elsewhere.cautions] == [OTHER_SOFTWARE]


@pytest.mark.parametrize(("own", "counts"), [(40, 40), (85, 70)])
def test_on_another_window_the_safer_points_count(own: float, counts: float) -> None:
    before = ReferenceWindow.of(np.linspace(0, 0.5, 2001), [STRATUM])
    assert own_points(own).on(CALIBRATION).of(STRATUM).rule_out_percentile == own
    points = own_points(own, before).on(CALIBRATION).of(STRATUM)
    assert (points.rule_out_percentile, points.flag_percentile) == (counts, 90)


# --- the command


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    return printed("operating-point", *arguments, "--config", folder / "config.yaml", status=status)


def table(folder: Path, labelled: bool = True) -> Path:
    """200 exams with cancer and 1,000 without, of a stratum that the shipped calibration knows."""
    rng = np.random.default_rng(3)
    scores = [*rng.beta(6, 1.5, 200), *rng.random(1000)]
    count = len(scores)
    columns = {
        "exam_id": [f"1.2.{number}" for number in range(count)],
        "woman_id": [f"w{number}" for number in range(count)],
        "round": [1] * count,
        "study_date": [date(2026, 3, 1)] * count,
        "manufacturer": ["Havblik X-ray"] * count,
        "manufacturer_model_name": ["Havblik Mira"] * count,
        "software_versions": ["Mira 5.1.0"] * count,
        "ai_score": scores,
        **({"outcome": ["SDC"] * 200 + ["NONE"] * 1000} if labelled else {}),
    }
    cohort.write(pl.DataFrame(columns), folder / "cohort.csv")
    return folder / "cohort.csv"


def test_points_are_proposed_applied_told_and_reverted(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"reading": {"calibration_folder": "calibration"}}))
    given, out = str(table(tmp_path)), str(tmp_path / "p.json")
    told = run(tmp_path, "propose", given, "--out", out, "--by", "B")
    assert "200 with SDC" in told
    assert "from labels" in told
    assert "of cancers missed, at most" in told
    assert not (tmp_path / "calibration").exists(), "a proposal changes nothing"
    assert run(tmp_path, "apply", out, "--by", "A. Lead", "--reason", "audit of 2025").startswith(
        "operating points points.1 count"
    )
    counts = json.loads(run(tmp_path, "history", "--json"))
    assert (counts["counts"]["version"], counts["history"][0]["by"]) == ("points.1", "A. Lead")
    proposed = json.loads(Path(out).read_text())["strata"][0]["rule_out"]["percentile"]
    assert counts["counts"]["strata"][0]["points"]["rule_out_percentile"] == proposed
    assert f"rule out below {proposed:g}" in run(tmp_path, "history")
    with pytest.raises(ConfigError, match=r"it stands on operating points config; points\.1 counts now"):
        run(tmp_path, "apply", out, "--by", "A", "--reason", "again")
    with pytest.raises(ConfigError, match=r"there is no operating points 'points\.9'"):
        run(tmp_path, "revert", "points.9", "--by", "A", "--reason", "x")
    run(tmp_path, "revert", "config", "--by", "A. Lead", "--reason", "trial over")
    counts = json.loads(run(tmp_path, "history", "--json"))
    assert counts["counts"]["version"] == "config"
    assert [entry["action"] for entry in counts["history"]] == ["apply", "revert"]
    audited = [each.text for each in trail_of(tmp_path / "mammo-node-data" / "audit")]
    assert audited == [
        "operating points proposed from table cohort.csv",
        "apply operating points points.1 (history 1): audit of 2025",
        "revert operating points config (history 2): trial over",
    ]


def test_without_outcomes_it_says_that_misses_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    told = run(tmp_path, "propose", str(table(tmp_path, labelled=False)), "--out", str(tmp_path / "p.json"))
    assert "rule out below percentile 70, from quantiles" in told
    assert "how many cancers are missed is not known" in told
    assert "labels need at least 149 exams with SDC" in told
    with pytest.raises(ConfigError, match="cannot be read"):
        run(tmp_path, "propose", str(tmp_path / "none.csv"))
