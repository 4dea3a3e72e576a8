"""Show the node at work: a hospital on this machine sends exams, the results come back to its PACS."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from node import console, demo_report
from node.console import ExitCode, JsonOption
from node.demo import Demo, density_data, run
from node.simulator import scenarios

_REAL = "real"
_ENDING = (signal.SIGINT, signal.SIGTERM)


class PacsChoice(StrEnum):
    """Which PACS is started."""

    AUTO = "auto"
    ORTHANC = "orthanc"
    ARCHIVE = "archive"


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("demo")(demo)


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything; emptied if a demo made it.")] = Path(
        "demo-out"
    ),
    pacs: Annotated[
        PacsChoice, typer.Option("--pacs", help="auto is Orthanc where it is installed.")
    ] = PacsChoice.AUTO,
    exams: Annotated[int | None, typer.Option("--exams", min=1, help="Only the first so many.")] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="Only exams with this in their names; may be repeated; real is the real one."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the synthetic exams.")] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="MAMMO_NODE_TEST_DATA", help="Folder with a real exam's pictures and the density network."
        ),
    ] = None,
    pitch_mm: Annotated[float | None, typer.Option("--pitch-mm", help="Coarser pixels, for a quick trial.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the node at work: a hospital on this machine sends exams, the results come back to its PACS.

    Ends with 0 only if every exam was answered exactly once per revision, under its own name. Everything it starts
    listens on loopback and ends with it.
    """
    for number in _ENDING:
        signal.signal(number, _interrupt)
    names = scenario or [scenarios.ALL]
    found = density_data(data) if exams is None and {_REAL, scenarios.ALL} & set(names) else None
    synthetic = [name for name in names if name != _REAL]
    specs = scenarios.chosen(seed, synthetic)[:exams] if synthetic else []
    chosen = Demo(out=out, specs=[replace(spec, pitch_mm=pitch_mm) for spec in specs], pacs=str(pacs), density=found)
    _announce(chosen, names)
    try:
        with console.progress(transient=False) as progress:
            verdict = run(chosen, progress)
    except KeyboardInterrupt:
        console.end(ExitCode.INTERRUPTED, "the demonstration was interrupted; all it started has ended")
    summary = demo_report.write(verdict, out)
    if json:
        console.print_json(summary)
    else:
        demo_report.show(verdict, out)
    if not verdict.ok:
        console.end(ExitCode.WRONG)


def _announce(chosen: Demo, names: Sequence[str]) -> None:
    if chosen.density is None and {_REAL, scenarios.ALL} & set(names):
        console.complain("the real exam is left out: ../shared/data/density is not beside the repository (see --data)")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C and TERM end the demonstration; what it started is ended first, and that is not interrupted again."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
