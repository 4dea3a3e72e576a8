"""The same numbers from R: areas, their errors and differences from pROC, shares and McNemar's test from R itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ai.evaluation import auc
from ai.evaluation.inferiority import Pairs, mcnemar
from ai.evaluation.intervals import clopper_pearson, wilson
from tests.support import require_r_package, require_tool

COUNTS = [(0, 17), (1, 40), (33, 752), (719, 752), (12, 12), (5, 123_000)]


def exams(case: str, size: int, ties: int) -> pl.DataFrame:
    """Two correlated scores of some positives and negatives; ties: how many different values there can be, 0: any."""
    rng = np.random.default_rng(size)
    positive = rng.random(size) < 0.3
    shared = rng.normal(size=size) + 1.2 * positive
    scores = [shared + 0.7 * rng.normal(size=size) for _ in range(2)]
    if ties:
        scores = [np.round(np.clip(each, -2, 3) * ties / 5) for each in scores]
    return pl.DataFrame(
        {"case": [case] * size, "positive": positive.astype(int), "first": scores[0], "second": scores[1]}
    )


CASES = {"small": exams("small", 25, 0), "tied": exams("tied", 300, 5), "large": exams("large", 1500, 0)}


@pytest.fixture(scope="module")
def r_says(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[float]]:
    """Name of a number → its values, as R prints them."""
    rscript = require_tool("Rscript")
    require_r_package("pROC")
    folder = tmp_path_factory.mktemp("r")
    pl.concat(CASES.values()).write_csv(folder / "exams.csv")
    pl.DataFrame(COUNTS, schema=["count", "of"], orient="row").write_csv(folder / "counts.csv")
    command = [rscript, "--vanilla", str(Path(__file__).with_name("statistics.R"))]
    done = subprocess.run(
        [*command, folder / "exams.csv", folder / "counts.csv"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: [float(each) for each in values] for name, *values in lines}


def columns(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = CASES[case]
    return rows["first"].to_numpy(), rows["second"].to_numpy(), rows["positive"].to_numpy() == 1


@pytest.mark.parametrize("case", CASES)
def test_area_and_its_error_are_those_of_proc(case: str, r_says: Mapping[str, list[float]]) -> None:
    first, _, positive = columns(case)
    found = auc.delong(first, positive)
    assert [found.estimate.value, found.standard_error] == pytest.approx(r_says[f"area.{case}"], rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_difference_of_two_areas_is_that_of_proc(case: str, r_says: Mapping[str, list[float]]) -> None:
    found = auc.delong_difference(*columns(case))
    z = found.estimate.value / found.standard_error
    assert [found.estimate.value, z, found.p] == pytest.approx(r_says[f"difference.{case}"], rel=1e-6)


@pytest.mark.parametrize(("number", "count", "of"), [(n, *each) for n, each in enumerate(COUNTS)])
def test_intervals_of_a_share_and_mcnemar_are_those_of_r(
    number: int, count: int, of: int, r_says: Mapping[str, list[float]]
) -> None:
    assert wilson(count, of) == pytest.approx(r_says[f"wilson.{number}"], rel=1e-7, abs=1e-12)
    assert clopper_pearson(count, of) == pytest.approx(r_says[f"clopper_pearson.{number}"], rel=1e-7, abs=1e-12)
    exact = mcnemar(Pairs(both=3, gained=count, lost=of - count, neither=9)).exact
    assert [exact] == pytest.approx(r_says[f"mcnemar.{number}"], rel=1e-7, abs=1e-300)
