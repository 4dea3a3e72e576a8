"""What each strategy would have done with the shadow's answers, on the same exams as with the live ones."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ai.evaluation import strategies
from ai.findings import Reading
from node.errors import ConfigError
from node.pseudonyms import Pseudonyms
from node.shadow_replay import ShadowReplay, replay
from node.shadow_report import kappa
from storage.shadows import Answers, ShadowReading, Shadows
from tests.support_cohort import NOW, Node, kept, reading
from tests.support_commands import printed

EXAMS = 120
HEADER = "exam_id,r1,r2,consensus_held,recalled,outcome"


def shadow_of(study: str, live: Reading, other: Reading) -> ShadowReading:
    answers = Answers(
        study_instance_uid=study,
        revision=1,
        shadow="m 2",
        saved_at=NOW,
        live_category=str(live.category),
        live_band=live.band,
        live_percentile=None,
        category=str(other.category),
        band=other.band,
        percentile=None,
    )
    return ShadowReading(answers=answers, reading_json=replace(other, study_instance_uid=study).to_json())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The live model scores at random, the shadow the six cancers highest. One exam has no shadow, one no outcome."""
    source = random.Random(3)
    with kept(tmp_path_factory.mktemp("shadow")) as made:
        rows = []
        for number in range(EXAMS + 1):
            study, cancer = f"1.2.{number}", number % 20 == 0
            score = source.random() * 0.9
            live = reading(score, percentile=50 + 50 * score)
            score = 0.95 + number / 10_000 if cancer else source.random() * 0.9
            other = reading(score, percentile=100 * score)
            made.exam(study, live, patient=f"P{number}", date="20260301")
            if number < EXAMS:
                Shadows(made.database).save(shadow_of(study, live, other))
            rows.append(f"{study},{'3,3,true,true,SDC' if cancer else '1,1,false,false,NONE'}")
        made.exam("1.2.999", reading(0.4, percentile=70.0), patient="P999", date="20260301")
        Shadows(made.database).save(shadow_of("1.2.999", reading(0.4), reading(0.4, percentile=40.0)))
        rows.append("1.2.999,1,1,false,false,")
        made.take(HEADER, *rows)
        yield made


def replayed(node: Node, *names: str, draws: int = 0, own: bool = True) -> ShadowReplay:
    variants = [variant for name in names for variant in strategies.parse(name)]
    key = Pseudonyms(node.folder / "objects" / ".pseudonym-key")
    return replay(node.held, key, variants, own_percentiles=own, draws=draws)


def ruled_out(found: ShadowReplay) -> list[float | None]:
    return [each.results[1].metrics["ruled_out_pct"].value for each in (found.live, found.other)]


def test_own_percentiles_show_what_the_shadows_calibration_would_rule_out(node: Node) -> None:
    """Live percentiles are 50 and more, the shadow's are spread over all: below 50 there is none and about half."""
    live, other = ruled_out(replayed(node, "s2 lower=0.5"))
    assert live == 0
    assert other == pytest.approx(50, abs=15)
    quantiles = ruled_out(replayed(node, "s2 lower=0.5", own=False))
    assert quantiles == pytest.approx([50, 50], abs=1), "quantiles of these exams know no lines"


def test_the_difference_is_of_the_same_women_drawn(node: Node) -> None:
    found = replayed(node, "s2 lower=0.5", draws=200)
    double, rule_out = found.differences
    assert (double["reads"].value, double["reads"].low, double["reads"].high) == (0, 0, 0), "the same in every draw"
    assert rule_out["reads"].value == pytest.approx(-2 * (ruled_out(found)[1] or 0) / 100)
    assert (rule_out["reads"].low or 0) < (rule_out["reads"].value or 0) < (rule_out["reads"].high or 0) < 0


def test_exams_without_an_outcome_count_for_workload_alone(node: Node) -> None:
    """One exam: read by both, decided on, and nobody knows yet what became of the woman."""
    found = replayed(node, "s2 lower=0.5")
    assert (found.workload_exams, found.without_outcome) == (EXAMS + 1, 1)
    assert found.live.exams == EXAMS
    assert found.other.results[0].metrics["reads"].value == 2


def test_both_are_replayed_on_the_same_exams_with_the_same_readers(node: Node) -> None:
    found = replayed(node, "s1")
    assert (found.live.exams, found.other.exams) == (EXAMS, EXAMS)
    assert (found.live.sdc, found.other.sdc) == (6, 6)
    double = [each.results[0].metrics for each in (found.live, found.other)]
    assert double[0] == double[1], "double reading does not ask the AI"


def test_a_shadow_that_sees_the_cancers_rules_none_out(node: Node) -> None:
    found = replayed(node, "s2", draws=50, own=False)
    missed = [each.results[1].metrics["missed_sdc"].value for each in (found.live, found.other)]
    assert missed[1] == 0
    assert (missed[0] or 0) > 0, "scores at random rule cancers out"
    assert found.live.results[1].metrics["reads"].high is not None, "with intervals"


def test_the_command_shows_every_strategy_and_gives_it_to_scripts(node: Node) -> None:
    config = node.folder / "config.yaml"
    told = json.loads(printed("shadow", "strategies", "--draws", 50, "--json", "--config", config))
    assert len(told["live"]["results"]) == len(told["other"]["results"]) > len(strategies.offered())
    assert "6 SDC" in printed("shadow", "strategies", "--strategy", "s1", "--draws", 50, "--config", config)


def test_without_decisions_it_says_what_to_import(tmp_path: Path) -> None:
    with kept(tmp_path) as empty:
        with pytest.raises(ConfigError, match="no exam was read in the shadow"):
            replayed(empty, "s1")
        empty.exam("1.2.3", reading(0.2), patient="P", date="20260301")
        Shadows(empty.database).save(shadow_of("1.2.3", reading(0.2), reading(0.3)))
        with pytest.raises(ConfigError, match=r"r1.* is known: mammo-node cohort import"):
            replayed(empty, "s1")


def test_kappa_is_agreement_beyond_chance() -> None:
    """By hand: seen 140 of 200 alike, by chance 100·120 + 60·60 + 40·20 of 200²."""
    table = {(0, 0): 88, (0, 1): 10, (0, 2): 2, (1, 0): 14, (1, 1): 40, (1, 2): 6, (2, 0): 18, (2, 1): 10, (2, 2): 12}
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    found = kappa(pairs, weighted=False)
    assert found is not None
    assert found.value == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    squares = (10 + 14 + 6 + 10 + 4 * (2 + 18)) / 200
    by_chance = (100 * 60 + 60 * 120 + 60 * 20 + 40 * 60 + 4 * (100 * 20 + 40 * 120)) / 200**2
    assert value(pairs) == pytest.approx(1 - squares / by_chance)
    assert value([(1, 1), (2, 2), (1, 2), (2, 1)]) == pytest.approx(0)
    assert value([(1, 1), (5, 5)]) == 1
    assert kappa([(3, 3), (3, 3)]) is None


def value(pairs: list[tuple[int, int]]) -> float | None:
    found = kappa(pairs)
    return found.value if found is not None else None


@pytest.mark.parametrize("weighted", [True, False])
def test_the_interval_of_kappa_is_that_of_leaving_each_pair_out(weighted: bool) -> None:
    """The jackknife, which knows no formula."""
    source = random.Random(5)
    pairs = [(one, max(0, min(9, one + source.choice((-2, -1, 0, 0, 1))))) for one in source.choices(range(10), k=400)]
    found = kappa(pairs, weighted=weighted)
    assert found is not None
    without = [kappa(pairs[:place] + pairs[place + 1 :], weighted=weighted) for place in range(len(pairs))]
    values = [each.value for each in without if each is not None]
    error = (statistics.pvariance(values) * (len(values) - 1)) ** 0.5
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.02)
