"""Drift charts: how seldom they alarm by chance, how soon they notice, on scores of any distribution."""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from ai.calibration import ReferenceWindow
from ai.monitoring import watch
from ai.monitoring.cusum import control_limit, run_length
from ai.monitoring.design import MOVING, OTHER, RUN_LENGTH, Design, cells, design, rejecting
from ai.monitoring.report import look
from ai.monitoring.stream import BASELINE, MEANING, Stream
from ai.monitoring.watch import State
from tests.support import shared_data

Cells = NDArray[np.uint8]
STREAMS = 200


def evenly(count: int = 12_000) -> Design:
    return design(ReferenceWindow.of(np.linspace(0, 1, count)), 70)


def first_alarms(charts: Design, draw: Callable[[], Cells], longest: int) -> NDArray[np.float64]:
    """Exams until any chart's alarm, for each of `STREAMS`."""
    state, first = State.of(charts, STREAMS), np.full(STREAMS, np.inf)
    for number in range(1, longest + 1):
        state = watch.step(charts, state, draw())
        first[(watch.values(charts, state) >= 1).any(axis=1) & np.isinf(first)] = number
        if np.isfinite(first).all():
            break
    return first


def p95(first: NDArray[np.float64]) -> float:
    return float(np.quantile(first, 0.95, method="higher"))


def test_the_run_length_is_that_of_simulated_sums() -> None:
    increments, probabilities = np.array([0.5, -0.3]), np.array([0.3, 0.7])
    rng, lengths = np.random.default_rng(1), []
    for _ in range(1500):
        total, number = 0.0, 0
        while total < 2.2 - 1e-9:
            total, number = max(0.0, total + (0.5 if rng.random() < 0.3 else -0.3)), number + 1
        lengths.append(number)
    error = 3 * np.std(lengths) / np.sqrt(len(lengths))
    assert run_length(increments, probabilities, 2.2) == pytest.approx(np.mean(lengths), abs=error + 2)


@pytest.mark.parametrize("exams", [1e3, 1e6])
def test_a_limit_is_passed_by_chance_as_seldom_as_asked(exams: float) -> None:
    increments, probabilities = np.array([np.log(8 / 7), np.log(2 / 3)]), np.array([0.7, 0.3])
    limit = control_limit(increments, probabilities, exams)
    assert exams <= run_length(increments, probabilities, limit) <= 1.05 * exams


def test_in_control_alarms_are_rarer_than_one_in_a_hundred_thousand_exams() -> None:
    charts, rng, alarms, exams = evenly(), np.random.default_rng(2), 0, 600_000
    state = State.of(charts, STREAMS)
    for _ in range(exams // STREAMS):
        state = watch.step(charts, state, rng.integers(0, 100, STREAMS).astype(np.uint8))
        hit = (watch.values(charts, state) >= 1).any(axis=1)
        alarms += int(hit.sum())
        state.sums[hit] = 0.0
    assert alarms <= exams / RUN_LENGTH, f"{alarms} alarms in {exams} exams"


def test_a_window_of_few_exams_makes_the_charts_more_patient_and_no_less_true() -> None:
    """The shares of 1,000 exams are off by chance; charts that took them for the population's would alarm."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        window = ReferenceWindow.of(rng.beta(1.3, 9, 1000))
        charts = design(window, 70)

        def draw(window: ReferenceWindow = window) -> Cells:
            return cells(np.interp(rng.beta(1.3, 9, STREAMS), window.scores, window.percentiles))

        assert np.isinf(first_alarms(charts, draw, 800)).mean() > 0.98
    few, many = design(ReferenceWindow.of(rng.random(1000)), 70), evenly()
    assert few.ks_limit > many.ks_limit
    assert few.psi_limit > many.psi_limit


def test_scores_that_many_exams_share_make_no_alarm() -> None:
    rng = np.random.default_rng(4)

    def scores(count: int) -> NDArray[np.float64]:
        return np.where(rng.random(count) < 0.3, 0.0, np.round(rng.random(count), 2))

    window = ReferenceWindow.of(scores(10_000))

    def draw() -> Cells:
        return cells(np.array([window.percentile(float(score)) for score in scores(STREAMS)]))

    assert np.isinf(first_alarms(design(window, 70), draw, 600)).all()


# --- real scores of one system before and after an update of its software


def shared_scores(name: str) -> NDArray[np.float64]:
    with (shared_data("drift") / f"{name}.csv").open() as file:
        return np.array([float(row["pred1"]) for row in csv.DictReader(file)])


def placed(scores: NDArray[np.float64], window: ReferenceWindow) -> Cells:
    return cells(np.array([window.percentile(float(score)) for score in scores]))


def test_the_update_is_noticed_within_110_exams() -> None:
    window, rng = ReferenceWindow.of(shared_scores("A")), np.random.default_rng(5)
    after = placed(shared_scores("A_after_update"), window)
    first = first_alarms(design(window, 70), lambda: rng.choice(after, STREAMS), 400)
    assert p95(first) <= 110, f"95th percentile {p95(first):g} exams"


@pytest.mark.parametrize("ruled_out", [0.6, 0.8, 0.85])
@pytest.mark.parametrize("shape", ["location", "share"])
def test_a_share_ruled_out_that_moved_is_noticed_within_700_exams(ruled_out: float, shape: str) -> None:
    """All scores move, the way they differ between vendors; or, harder, nothing but the share itself does."""
    charts, rng = evenly(), np.random.default_rng(6)
    by = norm.ppf(0.7) - norm.ppf(ruled_out)

    def draw() -> Cells:
        if shape == "location":
            return cells(100 * norm.cdf(rng.normal(by, 1, STREAMS)))
        below = rng.random(STREAMS) < ruled_out
        return np.where(below, rng.integers(0, 70, STREAMS), rng.integers(70, 100, STREAMS)).astype(np.uint8)

    first = first_alarms(charts, draw, 1500)
    within = 700 if (shape, ruled_out) != ("share", 0.6) else 1000
    assert p95(first) <= within, f"95th percentile {p95(first):g} exams"


def test_a_change_of_shape_alone_is_noticed() -> None:
    """Neither the middle nor the shares' order moves: scores draw together."""
    charts, rng = evenly(), np.random.default_rng(7)
    first = first_alarms(charts, lambda: cells(100 * norm.cdf(rng.normal(0, 0.6, STREAMS))), 1500)
    assert p95(first) <= 700, f"95th percentile {p95(first):g} exams"


# --- one stratum as it comes


def test_a_stream_that_was_kept_goes_on_as_if_it_never_stopped() -> None:
    charts, rng = evenly(), np.random.default_rng(8)
    exams = [None if rng.random() < 0.05 else int(cell) for cell in rng.integers(20, 100, 3 * MOVING)]
    whole, kept = Stream.begin(charts), Stream.begin(charts)
    for cell in exams:
        whole = whole.after(cell)
        kept = Stream.from_json(kept.after(cell).to_json(), charts)
    assert list(whole.readings()) == list(kept.readings())
    assert any(each.alarms for each in whole.readings())
    assert "reference 70.0 %" in whole.told()


def test_exams_that_are_suddenly_not_read_are_noticed_and_a_steady_share_is_not() -> None:
    charts, rng = evenly(), np.random.default_rng(9)
    stream = Stream.begin(charts)
    for number in range(2 * BASELINE):
        stream = stream.after(None if number % 50 == 0 else int(rng.integers(100)))
    assert not any(each.alarms for each in stream.readings())
    number = 0
    while not any(each.alarms for each in stream.readings()):
        stream, number = stream.after(None if number % 7 == 0 else int(rng.integers(100))), number + 1
        assert number < 400
    assert [each.chart for each in stream.readings() if each.alarms] == ["rejected up"]


def test_every_chart_has_a_meaning() -> None:
    stream = Stream.begin(evenly(), BASELINE, 20)
    assert [each.chart for each in stream.readings()] == list(MEANING)
    up, down = rejecting(0, BASELINE)
    assert run_length(up.increments, np.array([1 - 1e-3, 1e-3]), up.limit) > OTHER / 100
    assert down.limit > 0


def test_a_report_tells_shares_with_their_intervals_and_the_first_alarms() -> None:
    rng = np.random.default_rng(10)
    window = ReferenceWindow.of(rng.random(5000))
    scores: list[float | None] = [*map(float, rng.random(500)), None, *map(float, rng.random(300) ** 3)]
    report = look(scores, window, 70, offered=5000, unread=10)
    assert (report.exams, report.unread, report.reference_exams) == (800, 1, 5000)
    for share in report.shares:
        assert share.low <= share.found <= share.high
    assert [share.expected for share in report.shares] == pytest.approx([0.7, 0.1, 0.03])
    assert min(alarm.exam for alarm in report.alarms) > 501
    assert "location down" in [alarm.chart for alarm in report.alarms]
