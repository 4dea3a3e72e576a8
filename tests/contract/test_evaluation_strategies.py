"""What every way of combining the AI with the readers keeps, found by its file alone."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from ai.evaluation import drawn_rounds, strategies
from ai.evaluation import exams as arrays
from ai.evaluation.decisions import HI, LO, MID, Assumptions, Decisions, Replay, meeting
from ai.evaluation.exams import Exams
from ai.evaluation.simulated import Programme
from ai.evaluation.strategies import Variant

EXAMS = arrays.exams(drawn_rounds.cohort(Programme(exams=6000, not_read=0.03), seed=5)).exams
VARIANTS = strategies.everything()


def replay(exams: Exams) -> Replay:
    return Replay(exams, meeting(exams, Assumptions()))


def same(one: Decisions, other: Decisions) -> bool:
    return all(np.array_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))


@pytest.fixture(params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    assert isinstance(request.param, Variant)
    return request.param


def test_all_of_the_design_are_offered() -> None:
    numbered = {*(f"s{number}" for number in range(18)), "s1b", "s6r", "s7b"}
    assert set(strategies.offered()) >= numbered


def test_it_states_its_rule_in_a_sentence_and_is_one_short_file(variant: Variant) -> None:
    rule = strategies.rule(variant.strategy)
    assert rule.endswith("."), rule
    settings = strategies.load(variant.strategy).SETTINGS
    assert len({tuple(setting) for setting in settings}) == 1, "every setting names the same parameters"


def test_decisions_are_possible_ones(variant: Variant) -> None:
    found = strategies.decided(variant, replay(EXAMS))
    assert all(len(part) == len(EXAMS) for part in (found.reads, found.called, found.ruled_out, found.place))
    assert found.recall.shape == (3, len(EXAMS))
    assert set(np.unique(found.reads)) <= {0, 1, 2, 3}
    for chances in (found.called, found.place, *found.recall):
        assert chances.min() >= 0
        assert chances.max() <= 1
    assert not found.recall[:, found.ruled_out].any(), "who is ruled out is not recalled"
    assert not found.reads[found.ruled_out].any(), "and read by nobody"
    unasked = found.recall[:, (found.called == 0)]
    direct = variant.strategy in ("s5", "s8", "s9", "s15")
    assert direct or not unasked.any(), "recalled without a meeting"


def test_lo_mid_and_hi_find_more_cancers_in_turn(variant: Variant) -> None:
    recall = strategies.decided(variant, replay(EXAMS)).recall[:, EXAMS.cancer]
    assert (recall[LO] <= recall[MID]).all()
    assert (recall[MID] <= recall[HI]).all()


def test_what_the_gate_refused_follows_double_reading(variant: Variant) -> None:
    refused = ~EXAMS.follows_ai
    assert 100 < refused.sum() < 300
    found = strategies.decided(variant, replay(EXAMS))
    double = strategies.decided(Variant("s0"), replay(EXAMS))
    for each in fields(found):
        mine, theirs = getattr(found, each.name)[..., refused], getattr(double, each.name)[..., refused]
        assert np.array_equal(mine, theirs), each.name


def test_without_an_ai_every_strategy_is_double_reading(variant: Variant) -> None:
    blind = replace(EXAMS, follows_ai=np.zeros(len(EXAMS), bool), position=np.full(len(EXAMS), np.nan))
    assert same(
        strategies.decided(variant, replay(blind)), strategies.decided(Variant(strategies.BASELINE), replay(blind))
    )


def test_the_order_of_the_rows_changes_nothing(variant: Variant) -> None:
    order = np.random.default_rng(3).permutation(len(EXAMS))
    shuffled = Exams(**{each.name: getattr(EXAMS, each.name)[order] for each in fields(EXAMS)})
    found, again = (strategies.decided(variant, replay(each)) for each in (EXAMS, shuffled))
    names = [each.name for each in fields(found) if each.name != "place"]  # equal scores of a day come in any order
    for name in names:
        assert np.allclose(getattr(found, name)[..., order], getattr(again, name), atol=1e-12), name


def test_a_historic_meeting_keeps_its_outcome(variant: Variant) -> None:
    found = strategies.decided(variant, replay(EXAMS))
    dismissed = EXAMS.held & ~EXAMS.recalled & (found.called == 1)
    if variant.strategy not in ("s8", "s15"):  # these recall without a meeting, or see more than those who met did
        assert not found.recall[:, dismissed].any()
    assert (found.recall[:, EXAMS.held & EXAMS.recalled & (found.called == 1)] == 1).all()
