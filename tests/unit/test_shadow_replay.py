"""What each strategy would have done with the shadow's answers, on the same exams as with the live ones."""

from __future__ import annotations

import json
import random
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
    """The live model scores at random; the shadow scores the six cancers highest. One exam has no shadow."""
    source = random.Random(3)
    with kept(tmp_path_factory.mktemp("shadow")) as made:
        rows = []
        for number in range(EXAMS + 1):
            study, cancer = f"1.2.{number}", number % 20 == 0
            live = reading(source.random() * 0.9)
            other = reading(0.95 + number / 10_000 if cancer else source.random() * 0.9)
            made.exam(study, live, patient=f"P{number}", date="20260301")
            if number < EXAMS:
                Shadows(made.database).save(shadow_of(study, live, other))
            rows.append(f"{study},{'3,3,true,true,SDC' if cancer else '1,1,false,false,NONE'}")
        made.take(HEADER, *rows)
        yield made


def replayed(node: Node, *names: str, draws: int = 0) -> ShadowReplay:
    variants = [variant for name in names for variant in strategies.parse(name)]
    return replay(node.held, Pseudonyms(node.folder / "objects" / ".pseudonym-key"), variants, draws=draws)


def test_both_are_replayed_on_the_same_exams_with_the_same_readers(node: Node) -> None:
    found = replayed(node, "s1")
    assert (found.live.exams, found.other.exams) == (EXAMS, EXAMS)
    assert (found.live.sdc, found.other.sdc) == (6, 6)
    double = [each.results[0].metrics for each in (found.live, found.other)]
    assert double[0] == double[1], "double reading does not ask the AI"


def test_a_shadow_that_sees_the_cancers_rules_none_out(node: Node) -> None:
    found = replayed(node, "s2", draws=50)
    missed = [each.results[1].metrics["missed_sdc"].value for each in (found.live, found.other)]
    assert missed[1] == 0
    assert (missed[0] or 0) > 0, "scores at random rule cancers out"
    assert found.live.results[1].metrics["reads"].high is not None, "with intervals"


def test_the_command_shows_every_strategy_and_gives_it_to_scripts(node: Node) -> None:
    config = node.folder / "config.yaml"
    told = json.loads(printed("shadow", "strategies", "--json", "--config", config))
    assert len(told["live"]["results"]) == len(told["other"]["results"]) > len(strategies.offered())
    assert "6 SDC" in printed("shadow", "strategies", "--strategy", "s1", "--config", config)


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
    assert kappa(pairs, weighted=False) == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    squares = (10 + 14 + 6 + 10 + 4 * (2 + 18)) / 200
    by_chance = (100 * 60 + 60 * 120 + 60 * 20 + 40 * 60 + 4 * (100 * 20 + 40 * 120)) / 200**2
    assert kappa(pairs) == pytest.approx(1 - squares / by_chance)
    assert kappa([(1, 1), (2, 2), (1, 2), (2, 1)]) == pytest.approx(0)
    assert kappa([(1, 1), (5, 5)]) == 1
    assert kappa([(3, 3), (3, 3)]) is None
