"""A simulated cohort on disk, and `mammo-node evaluate` on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ai import cohort
from ai.evaluation import drawn_rounds
from ai.evaluation.simulated import Programme
from node.cli import make_app


@dataclass(frozen=True)
class Evaluated:
    """A cohort's table, its report and what --json told."""

    table: Path
    report: Path
    told: Any


def evaluated(folder: Path, exams: int = 8000, *options: str) -> Evaluated:
    """Simulate and evaluate; both files lie in `folder`."""
    table, report = folder / "cohort.parquet", folder / "report.html"
    cohort.write(drawn_rounds.cohort(Programme(exams=exams, not_read=0.03), seed=3), table)
    arguments = ["evaluate", str(table), "--report", str(report), "--draws", "100", "--json", *options]
    done = CliRunner().invoke(make_app(["evaluate"]), arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return Evaluated(table, report, json.loads(done.stdout, parse_constant=_no_json))


def _no_json(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
