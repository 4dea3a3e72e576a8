"""Evaluate the AI on a cohort table: accuracy, what ruling out would miss, strategies, and a report to print."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from ai import cohort
from ai.cohort import CohortError
from ai.evaluation import cases, readers, report, strategies
from ai.evaluation import exams as cohort_exams
from ai.evaluation.assessment import Assessment, Questions, assess
from ai.evaluation.comparison import compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.strategies_page import section
from ai.pixels import PREPROCESSING_VERSION
from node import console
from node.calibrations import Calibrations, served_model
from node.config import Config
from node.console import ConfigOption, JsonOption
from node.errors import ConfigError
from node.identity import SOFTWARE_VERSION


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("evaluate")(evaluate)


_Table = Annotated[Path, typer.Argument(help="Cohort table, CSV or Parquet, with the columns outcome and ai_score.")]
_Report = Annotated[Path | None, typer.Option("--report", help="Write a report: one HTML file that stands by itself.")]
_Line = Annotated[float | None, typer.Option(min=1, max=99.9, help="Percentile; by default the configured one.")]
_Margin = Annotated[float, typer.Option(min=0.01, max=50, help="Margin of non-inferiority, percentage points.")]
_Draws = Annotated[int, typer.Option("--draws", min=0, help="Samples of the bootstrap of women; 0: none.")]
_Seed = Annotated[int, typer.Option("--seed", help="The same seed and table give the same intervals.")]
_Title = Annotated[str, typer.Option("--title", help="The report's title.")]


@dataclass(frozen=True, slots=True)
class _Found:
    """The numbers, and the sections that others than the assessment make."""

    assessment: Assessment
    told: dict[str, Any]
    more: tuple[str, ...]


def evaluate(
    table: _Table,
    *,
    report_file: _Report = None,
    rule_out: _Line = None,
    flag: _Line = None,
    sensitivity_margin: _Margin = 5.0,
    specificity_margin: _Margin = 2.0,
    draws: _Draws = 2000,
    seed: _Seed = 1,
    title: _Title = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate the AI on a cohort table: accuracy, what ruling out would miss, strategies, and a report to print.

    Ends with 2 when the table cannot be used. The report prints well from any browser (A4), to PDF too.
    """
    settings = console.configuration(config)
    points = settings.reading.operating_points
    questions = Questions(
        rule_out=(points.rule_out_percentile if rule_out is None else rule_out) / 100,
        flag=(points.flag_percentile if flag is None else flag) / 100,
        sensitivity_margin=sensitivity_margin / 100,
        specificity_margin=specificity_margin / 100,
        draws=draws,
        seed=seed,
    )
    try:
        found = _found(table, questions, settings)
        if report_file is not None:
            page = report.page(found.assessment, found.told, title or f"The AI on {table.name}", found.more)
            report_file.write_text(page, encoding="utf-8")
    except CohortError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{error.filename or table}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{table}: {error}") from error
    if json:
        console.print_json(found.told)
    else:
        _show(found.assessment, report_file)


def _found(path: Path, questions: Questions, settings: Config) -> _Found:
    rows = cohort.read(path)
    missing = [name for name in cases.NEEDED if name not in rows.columns]
    if missing:
        raise CohortError(path, (), f"the column {', '.join(missing)} is missing")
    assessment = assess(rows, questions)
    results, sections = _strategies(rows, questions)
    told = report.result(assessment, _used(path, settings, questions), {"strategies": results})
    return _Found(assessment, told, sections)


def _strategies(rows: pl.DataFrame, questions: Questions) -> tuple[Any, tuple[str, ...]]:
    """Of a table that has what they need: the readers, the consensus and the recalls."""
    if cohort_exams.missing_columns(rows):
        return None, ()
    exams = cohort_exams.exams(rows).exams
    compared = compare(exams, strategies.everything(), Assumptions(), draws=questions.draws, seed=questions.seed)
    return compared, (section([compared], readers.table(exams)),)


def _used(path: Path, settings: Config, questions: Questions) -> Mapping[str, str]:
    model = served_model(settings.reading)
    calibration = Calibrations(settings.reading.calibration_folder).current(model)
    return {
        "software": f"mammo-node {SOFTWARE_VERSION}",
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "data": path.name,
        "data sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "model": f"{model.name} {model.version}",
        "model weights sha256": model.weights_sha256,
        "preprocessing": PREPROCESSING_VERSION,
        "calibration": calibration.version,
        "calibration sha256": _sha256(calibration.model_dump_json()),
        "lines": f"ruled out below {questions.rule_out:.1%}, flagged from {questions.flag:.1%} of a system's scores",
        "configured lines sha256": _sha256(settings.reading.operating_points.model_dump_json()),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _show(found: Assessment, report_file: Path | None) -> None:
    flow = found.flow
    console.say(f"{flow.evaluated} of {flow.exams} exams evaluated, of {flow.evaluated_women} women", style="bold")
    for curve in found.curves:
        area = curve.area.estimate
        console.say(f"AUC {curve.cancers}: {area.value:.3f} ({area.low:.3f} to {area.high:.3f}), DeLong by woman")
    head = ("ruled out below", "SDC missed", "surely below", "IC missed", "surely below")
    lines = [
        (
            f"{each.position:.0%}",
            f"{each.missed_sdc.count} of {each.missed_sdc.of} ({each.missed_sdc.value:.1%})",
            f"{each.limit_sdc:.1%}",
            f"{each.missed_ic.count} of {each.missed_ic.of} ({each.missed_ic.value:.1%})",
            f"{each.limit_ic:.1%}",
        )
        for each in found.rule_out
    ]
    console.out().print(console.rows(console.table(*head, right=head[1:]), lines))
    console.say(f"cancers ruled out at the site's line: {len(found.ruled_out_cancers)}; --report lists each")
    if report_file is not None:
        console.say(f"report: {report_file}")
