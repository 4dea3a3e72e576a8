"""Reading with the prior exam: the change is told, may raise a score, and a bad prior costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from ai import bundle
from ai.calibration import OperatingPoints
from ai.exam import Exam
from ai.findings import Reading
from ai.inference import Engine
from ai.models import demo_net
from ai.reading.with_priors import with_change
from ai.reasons import CautionCode, ReasonCode
from node.results._text import change_lines, prior_scores
from tests.support_exams import as_file, exam
from tests.support_models import Whimsical
from tests.support_readings import report

PRIOR, NOW = "1.2.826.0.1.3680043.10.999.7", "1.2.826.0.1.3680043.10.999.8"
#: Of the demonstration's own equipment, which its calibration knows.
KNOWN = {
    "Manufacturer": "Fjordlys Imaging AS",
    "ManufacturerModelName": "Fjordlys Selma 70",
    "SoftwareVersions": ["FSW 3.4.1", "FPROC 2.2"],
}
probabilities = st.floats(0, 1)


def engine(weight: float = 0.0, strategy: str = "with_priors") -> Engine:
    options = {"change_weight": weight} if weight else {}
    return Engine([bundle.DEMO], operating_points=OperatingPoints(), strategy=strategy, strategy_options=options)


@pytest.fixture(scope="module")
def comparing() -> Engine:
    return engine()


def prior_images(spot: int = 0, **elements: object) -> list[Dataset]:
    return [_with_spot(each, spot) for each in exam(PRIOR, StudyDate="20240301", **{**KNOWN, **elements})]


def current_images(spot: int = 40) -> list[Dataset]:
    return [_with_spot(each, spot) for each in exam(NOW, **KNOWN)]


def _with_spot(dataset: Dataset, radius: int) -> Dataset:
    """A bright disc in the left breast."""
    if radius and dataset.ImageLaterality == "L":
        values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).copy()
        row, column = np.mgrid[: dataset.Rows, : dataset.Columns]
        values[(row - 300) ** 2 + (column - 150) ** 2 < radius**2] += 900
        dataset.PixelData = values.tobytes()
    return dataset


def read(reader: Engine, folder: Path, now: list[Dataset], *priors: list[Dataset]) -> Reading:
    files: dict[str, Path] = {}
    for dataset in (*now, *(each for prior in priors for each in prior)):
        files[str(dataset.SOPInstanceUID)] = path = folder / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(dataset))
    whole = Exam.from_datasets(now, [Exam.from_datasets(prior) for prior in priors])
    return reader.read(whole, files, revision=1).reading


def test_the_prior_is_read_by_the_same_model_and_the_change_told(comparing: Engine, tmp_path: Path) -> None:
    found = read(comparing, tmp_path, current_images(), prior_images())
    before = read(comparing, tmp_path, prior_images())
    plain = read(engine(strategy="screening"), tmp_path, current_images(), prior_images())
    assert found.prior is not None
    assert plain.prior is None
    assert (found.score, found.category, found.cautions) == (plain.score, plain.category, ())
    assert (found.prior.study_instance_uid, found.prior.study_date) == (PRIOR, "20240301")
    assert found.prior.algorithm == comparing.algorithm
    assert (found.prior.score, found.prior.band, found.prior.inputs) == (before.score, before.band, before.inputs)
    for change, then, now in zip(found.prior.breasts, before.breasts, found.breasts, strict=True):
        assert (change.prior_probability, change.probability) == (then.probability, now.probability)
    assert found.prior.breasts[1].probability > found.prior.breasts[1].prior_probability
    assert Reading.from_json(found.to_json()) == found
    lines = change_lines(report(found))
    assert lines[0] == "Since 2024-03-01, both read by this model:"
    assert lines[-1] == f"band {before.band} → {found.band}"
    assert set(prior_scores(report(found)).values()) == {each.prior_probability for each in found.prior.breasts}


def test_a_weight_raises_the_breast_that_changed_on_a_scale_of_its_own(comparing: Engine, tmp_path: Path) -> None:
    plain = read(comparing, tmp_path, current_images(), prior_images())
    raised = read(engine(weight=0.5), tmp_path, current_images(), prior_images())
    alone = read(engine(weight=0.5), tmp_path, current_images())
    assert raised.score is not None
    assert plain.score is not None
    assert raised.score > plain.score == alone.score
    assert raised.prior is not None
    assert raised.prior.change_weight == 0.5
    assert [caution.code for caution in raised.cautions] == [CautionCode.NO_REFERENCE_POPULATION]
    assert raised.views == plain.views
    assert "the change went into the score, weight 0.5" in change_lines(report(raised))


def test_a_prior_of_unknown_equipment_has_no_band(comparing: Engine, tmp_path: Path) -> None:
    found = read(comparing, tmp_path, current_images(), prior_images(SoftwareVersions="FSW 2"))
    assert found.prior is not None
    assert found.prior.breasts
    assert (found.prior.percentile, found.prior.band) == (None, None)
    assert not any(line.startswith("band") for line in change_lines(report(found)))


def _three_views(prior: list[Dataset]) -> None:
    prior.pop()


def _implant(prior: list[Dataset]) -> None:
    prior[2].BreastImplantPresent = "YES"


def _cut(prior: list[Dataset]) -> None:
    prior[1].PixelData = prior[1].PixelData[:1000]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_three_views, ReasonCode.VIEWS_MISSING),
        (_implant, ReasonCode.BREAST_IMPLANT),
        (_cut, ReasonCode.PIXEL_DATA_SHORT),
    ],
)
def test_a_prior_that_cannot_be_read_costs_the_exam_nothing_and_is_told(
    comparing: Engine, tmp_path: Path, spoil: Callable[[list[Dataset]], None], code: ReasonCode
) -> None:
    alone = read(comparing, tmp_path, current_images())
    spoilt = prior_images()
    spoil(spoilt)
    found = read(comparing, tmp_path, current_images(), spoilt)
    assert found.prior is not None
    assert code in [reason.code for reason in found.prior.reasons]
    assert not found.prior.breasts
    unchanged = {"prior": None, "started_at": alone.started_at, "timings_s": alone.timings_s}
    assert replace(found, **unchanged) == alone


def test_a_prior_the_model_fails_on_costs_the_exam_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_on_the_prior(studies: Sequence[str]) -> None:
        if PRIOR in studies:
            raise RuntimeError("no kernel image")

    model = Whimsical(fails_on_the_prior)
    monkeypatch.setattr(demo_net, "build", lambda card, weights, device: model)
    with caplog.at_level("CRITICAL"):
        found = read(engine(), tmp_path, current_images(), prior_images())
    assert model.batches == [[NOW, PRIOR], [NOW], [PRIOR]]
    assert found.score is not None
    assert found.prior is not None
    assert [reason.code for reason in found.prior.reasons] == [ReasonCode.MODEL_FAILED]


@given(probabilities, probabilities, st.floats(0, 2))
def test_the_change_never_lowers_a_score(now: float, before: float, weight: float) -> None:
    assert now <= with_change(now, before, weight) <= 1
    assert with_change(now, before, 0.0) == now
    if before >= now:
        assert with_change(now, before, weight) == now


@given(probabilities, probabilities, probabilities, st.floats(0, 2))
def test_more_suspicion_now_or_less_then_never_lowers_a_score(
    one: float, other: float, before: float, weight: float
) -> None:
    low, high = sorted((one, other))
    assert with_change(low, before, weight) <= with_change(high, before, weight) + 1e-9
    assert with_change(before, high, weight) <= with_change(before, low, weight) + 1e-9


def test_options_are_checked_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"strategy_options of 'with_priors': change_weight: .* 0"):
        engine(weight=-1.0)
    with pytest.raises(ValueError, match=r"of 'screening': change_weight: .*its options are: none"):
        Engine([bundle.DEMO], operating_points=OperatingPoints(), strategy_options={"change_weight": 1})
