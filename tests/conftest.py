"""What holds for every test: one torch thread, no skips on CI, numbers of the house at the end."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support_postgres import Postgres, postgres

HOUSE_NUMBERS = "house numbers"
#: Screenshots of the latest run of the tests in a browser; git does not keep them.
PICTURES = Path(__file__).resolve().parents[1] / "browser-pictures"


def pytest_configure() -> None:
    """One thread for torch, numpy and the programs the tests start (read when they are imported, later than this).

    No time limit for one example of a property: on a busy machine it would fail for reasons of the machine.
    """
    hypothesis.settings.register_profile("node", deadline=None, derandomize=bool(os.environ.get("CI")))
    hypothesis.settings.load_profile("node")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server of the module's own."""
    with postgres(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On CI a skipped test is a failure: a suite that quietly runs less proves less. (xfail is not a skip.)"""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the house tests measured (kept with `record_property`, so it also comes back from workers)."""
    passed = terminalreporter.stats.get("passed", [])
    numbers = [value for report in passed for key, value in report.user_properties if key == HOUSE_NUMBERS]
    if numbers:
        terminalreporter.section("the house, measured")
        for line in numbers:
            terminalreporter.write_line(line)
    if any(
        report.nodeid.startswith("tests/browser/") for report in [*passed, *terminalreporter.stats.get("failed", [])]
    ):
        terminalreporter.write_line(f"screenshots: {PICTURES}")
