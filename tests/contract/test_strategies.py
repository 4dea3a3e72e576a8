"""What every offered reading strategy keeps, found by its file alone."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ai import models, reading
from ai.exam import STANDARD_VIEWS, Exam, ImageLaterality, StandardView, ViewPosition
from ai.extensions import NoSuchExtension
from ai.findings import Algorithm, FindingType
from ai.models import Candidate, ViewOutput
from ai.reading import Assessment, PriorViews, ReadView
from ai.self_check import sample_views

SAMPLES = sample_views()
CARD = models.load("demo_net").CARD.model_copy(update={"finding_threshold": 0.5})
R_CC, L_CC = (StandardView(laterality, ViewPosition.CC) for laterality in ImageLaterality)
R_MLO, L_MLO = (StandardView(laterality, ViewPosition.MLO) for laterality in ImageLaterality)


def output(standard: StandardView, probability: float, *candidates: Candidate) -> ViewOutput:
    """Suspicion is `probability` all over a 1.6 mm grid of the breast's box."""
    geometry = SAMPLES[standard].geometry(1.6)
    suspicion = np.full((geometry.rows, geometry.columns), probability, np.float32)
    return ViewOutput(probability, suspicion, geometry, candidates)


def assess(strategy: str, given: dict[StandardView, ViewOutput]) -> Assessment:
    views = {standard: ReadView(SAMPLES[standard], given[standard]) for standard in given}
    return reading.load(strategy).assess(views, CARD)


def at(column: float, row: float, probability: float, kind: FindingType = FindingType.SOFT_TISSUE) -> Candidate:
    return Candidate((column - 40, row - 40, column + 40, row + 40), kind, probability)


@pytest.fixture(params=reading.offered())
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_scores_are_probabilities_and_every_view_and_breast_is_answered(strategy: str) -> None:
    found = assess(strategy, {standard: output(standard, 0.1 * i) for i, standard in enumerate(STANDARD_VIEWS)})
    assert 0 <= found.score <= 1
    assert {view.standard_view for view in found.views} == set(STANDARD_VIEWS)
    assert {breast.image_laterality for breast in found.breasts} == set(ImageLaterality)
    assert len(found.heat_maps) == 4


def test_more_suspicion_in_a_view_never_lowers_the_exam(strategy: str) -> None:
    for suspected in STANDARD_VIEWS:
        scores = [
            assess(strategy, {s: output(s, p if s == suspected else 0.3) for s in STANDARD_VIEWS}).score
            for p in (0.0, 0.3, 0.6, 1.0)
        ]
        assert scores == sorted(scores), f"{suspected}: {scores}"


def test_findings_are_candidates_above_the_threshold_with_their_boxes(strategy: str) -> None:
    seen, unsure = at(300, 500, 0.9), at(300, 800, 0.4)
    given = {standard: output(standard, 0.2) for standard in STANDARD_VIEWS}
    found = assess(strategy, {**given, L_CC: output(L_CC, 0.8, seen, unsure)})
    (finding,) = found.findings
    region = finding.region
    assert (region.left, region.top, region.right, region.bottom) == seen.box
    assert region.sop_instance_uid == SAMPLES[L_CC].view.sop_instance_uid
    assert (finding.image_laterality, finding.lesion, finding.probability) == (ImageLaterality.LEFT, 1, 0.9)


def test_one_lesion_on_two_views_shares_its_number_and_the_worst_is_first(strategy: str) -> None:
    given = {standard: output(standard, 0.2) for standard in STANDARD_VIEWS}
    given[R_CC] = output(R_CC, 0.7, at(660, 500, 0.7))
    given[L_CC] = output(L_CC, 0.9, at(300, 600, 0.95), at(600, 600, 0.6))
    given[L_MLO] = output(L_MLO, 0.9, at(310, 600, 0.8))
    numbered = {(finding.lesion, round(finding.probability, 2)) for finding in assess(strategy, given).findings}
    assert numbered == {(1, 0.95), (1, 0.8), (2, 0.7), (3, 0.6)}


def test_a_mass_and_calcifications_at_one_place_are_two_lesions(strategy: str) -> None:
    given = {standard: output(standard, 0.2) for standard in STANDARD_VIEWS}
    given[L_CC] = output(L_CC, 0.9, at(300, 600, 0.9))
    given[L_MLO] = output(L_MLO, 0.9, at(300, 600, 0.8, FindingType.CALCIFICATION_CLUSTER))
    assert {finding.lesion for finding in assess(strategy, given).findings} == {1, 2}


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_heat_map_covers_the_stored_image_in_its_own_orientation(strategy: str, standard: StandardView) -> None:
    given = {each: output(each, 0.0) for each in STANDARD_VIEWS}
    rows, columns = SAMPLES[standard].image.values.shape
    spot = np.array([(200.0 if standard.image_laterality is ImageLaterality.LEFT else columns - 200.0, 900.0)])
    j, i = np.floor(given[standard].geometry.to_model(spot)[0]).astype(int)
    given[standard].suspicion[i - 1 : i + 2, j - 1 : j + 2] = 1.0
    found = assess(strategy, given)
    (heat_map,) = [m for m in found.heat_maps if m.sop_instance_uid == SAMPLES[standard].view.sop_instance_uid]
    values = np.frombuffer(heat_map.values, np.uint8).reshape(heat_map.rows, heat_map.columns)
    row, column = np.argwhere(values == 255).mean(axis=0) + 0.5
    hot = (column * columns / heat_map.columns, row * rows / heat_map.rows)
    assert hot == pytest.approx(tuple(spot[0]), abs=25)
    assert heat_map.rows / heat_map.columns == pytest.approx(rows / columns, rel=0.03)


def test_an_exam_without_views_is_an_error(strategy: str) -> None:
    with pytest.raises(ValueError, match="without views"):
        assess(strategy, {})


def with_prior(strategy: str, now: float, before: float) -> Assessment:
    """An exam whose left breast scores `now`, and did `before` in its prior; the right one 0.2 in both."""
    rounds = []
    for left in (now, before):
        given = {s: output(s, left if s.image_laterality is ImageLaterality.LEFT else 0.2) for s in STANDARD_VIEWS}
        rounds.append({standard: ReadView(SAMPLES[standard], given[standard]) for standard in given})
    exam = Exam(
        study_instance_uid="1.2.3",
        patient_id="A",
        issuer_of_patient_id="NIN",
        accession_number="",
        study_date="20240301",
        views=tuple(view.source.view for view in rounds[1].values()),
    )
    prior = PriorViews(exam, rounds[1], Algorithm(name="m", version="1", manufacturer="t"))
    module = reading.load(strategy)
    return module.assess(rounds[0], CARD, [prior] if module.PRIORS else [])


def test_it_says_what_it_needs_and_its_usual_options_are_on_a_named_scale(strategy: str) -> None:
    module = reading.load(strategy)
    assert module.PRIORS >= 0
    assert module.scale(module.OPTIONS())
    with pytest.raises(ValidationError, match="no_such_option"):
        module.OPTIONS(no_such_option=1)


@pytest.mark.parametrize("before", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("now", [0.1, 0.5, 0.9])
def test_a_prior_never_hides_what_is_seen_now(strategy: str, now: float, before: float) -> None:
    """Unless it says that the change went into the score, a prior leaves the score alone; a finding it never takes."""
    alone = assess(
        strategy, {s: output(s, now if s.image_laterality is ImageLaterality.LEFT else 0.2) for s in STANDARD_VIEWS}
    )
    found = with_prior(strategy, now, before)
    assert found.views == alone.views
    assert found.findings == alone.findings
    if found.prior is None or not found.prior.change_weight:
        assert found.score == alone.score
    assert found.score >= alone.score


def test_a_strategy_that_looks_at_priors_reports_the_change_of_each_breast(strategy: str) -> None:
    if not reading.load(strategy).PRIORS:
        assert with_prior(strategy, 0.9, 0.4).prior is None
        return
    comparison = with_prior(strategy, 0.9, 0.4).prior
    assert comparison is not None
    assert (comparison.study_instance_uid, comparison.study_date) == ("1.2.3", "20240301")
    changes = {each.image_laterality: (each.prior_probability, each.probability) for each in comparison.breasts}
    assert changes[ImageLaterality.LEFT] == pytest.approx((0.4, 0.9))
    assert changes[ImageLaterality.RIGHT] == pytest.approx((0.2, 0.2))
    assert comparison.score == pytest.approx(0.4)


def test_an_unknown_strategy_is_refused_with_what_there_is() -> None:
    with pytest.raises(NoSuchExtension, match="screening"):
        reading.load("guessing")
