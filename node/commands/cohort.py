"""Import readers' decisions and outcomes, export the node's readings with them, or simulate a programme's table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ai import cohort as tables
from ai.evaluation import drawn_rounds
from ai.evaluation.simulated import KINDS, Kind, Programme
from node import cohort_export, cohort_import, console, holdings, registry
from node.cohort_import import FACT_COLUMNS
from node.console import ConfigOption, JsonOption
from node.errors import ConfigError
from node.pseudonyms import Pseudonyms
from node.registry import COLUMNS_OF_REGISTRY, FollowUp

_USUAL = Programme()
_File = Annotated[Path, typer.Argument(help=f"CSV or Parquet; columns: {', '.join(FACT_COLUMNS)}.")]
_Registry = Annotated[
    Path, typer.Argument(help=f"CSV or Parquet; columns: {', '.join(COLUMNS_OF_REGISTRY)}; the last may be left out.")
]
_Until = Annotated[
    datetime,
    typer.Option(
        "--followed-until", formats=["%Y-%m-%d"], help="The file holds every cancer diagnosed up to this day."
    ),
]
_Interval = Annotated[int, typer.Option("--interval-days", min=1, help="Screening interval.")]
_Assessment = Annotated[
    int, typer.Option("--assessment-days", min=1, help="A cancer found so soon after a recall was found by screening.")
]
_Out = Annotated[Path, typer.Argument(help="The table to write: CSV, or Parquet where the name ends so.")]
_Skip = Annotated[bool, typer.Option("--skip-unknown", help="Leave out rows of exams that the node does not hold.")]
_Exams = Annotated[int, typer.Option("--exams", min=1, help="Exams of the table.")]
_Seed = Annotated[int, typer.Option("--seed", help="The same seed and parameters give the same table.")]
_Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Rounds a woman has at most.")]
_Systems = Annotated[int, typer.Option("--systems", min=1, help="Makes of system, each with a score scale of its own.")]
_Shown = Annotated[float, typer.Option("--shown", min=0, max=0.5, help="Share of exams with a cancer that shows.")]
_Hidden = Annotated[
    float,
    typer.Option("--hidden", min=0, max=0.5, help="Share with one that hardly does and surfaces before the next."),
]
_Strength = Annotated[
    float, typer.Option("--strength", help="The AI's signal of a cancer that shows, in standard deviations.")
]
_Alike = Annotated[
    float, typer.Option("--ai-alike", min=0, max=0.6, help="Correlation of the AI with what is hard for readers.")
]
_Stability = Annotated[
    float, typer.Option("--stability", min=0, max=0.99, help="Of a healthy breast's score from round to round.")
]
_Sensitivity = Annotated[
    list[str] | None,
    typer.Option(
        "--sensitivity",
        metavar="LESION=R1,R2",
        help=f"Share of a kind of lesion that each reader sees; may be repeated. Kinds: {', '.join(KINDS)}.",
    ),
]
_NotRead = Annotated[float, typer.Option("--not-read", min=0, max=1, help="Share of exams that the gate refuses.")]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(help="Cohort tables: readers' decisions and outcomes in, a table out.", no_args_is_help=True)
    group.command("import")(import_)
    group.command("outcomes")(outcomes)
    group.command("imports")(imports)
    group.command("export")(export)
    group.command("simulate")(simulate)
    app.add_typer(group, name="cohort")


def import_(file: _File, *, skip_unknown: _Skip = False, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Take in readers' decisions, or outcomes that come years later, or both: a row an exam.

    What a file leaves empty stays as it was told before. Ends with 2, and takes nothing, when a row is bad.
    """
    with holdings.opened(console.configuration(config)) as held:
        done = cohort_import.taken(held, file, skip_unknown=skip_unknown)
    if json:
        console.print_json(done)
    else:
        console.say(
            f"{done.file}: {done.rows} rows; {done.added} exams told of for the first time, {done.changed} changed, "
            f"{done.rows - done.added - done.changed - done.skipped} as before, {done.skipped} not held here"
        )


def outcomes(
    file: _Registry,
    *,
    followed_until: _Until,
    interval_days: _Interval = 730,
    assessment_days: _Assessment = 180,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Take in a cancer registry's file: a row a diagnosis, from which each exam's outcome follows.

    It must hold every breast cancer of the node's women up to --followed-until. Patient IDs are not kept.
    """
    follow_up = FollowUp(followed_until.date(), interval_days, assessment_days)
    with holdings.opened(console.configuration(config)) as held:
        done = registry.linked(held, file, follow_up)
    if json:
        console.print_json(done)
        return
    told = ", ".join(f"{count} {outcome}" for outcome, count in done.outcomes.items()) or "none"
    console.say(f"{done.taken.file}: {done.taken.rows} diagnoses, {done.taken.skipped} of women not held here")
    console.say(f"outcomes told of {sum(done.outcomes.values())} exams: {told}")
    for why, count in done.untold.items():
        console.say(f"not told yet, {why}: {count}")


def imports(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the files that were taken in."""
    with holdings.opened(console.configuration(config)) as held:
        found = held.cohort.imports()
    if json:
        console.print_json(found)
        return
    numbers = ("rows", "added", "changed", "skipped")
    made = console.table("when", "file", *numbers, "sha256", right=numbers)
    lines = [
        (console.moment(each.at), each.file, *(getattr(each, name) for name in numbers), each.sha256[:16])
        for each in found
    ]
    console.out().print(console.rows(made, lines))


def export(out: _Out, *, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Write the node's answered exams as a cohort table, with decisions and outcomes where they are known.

    Women have pseudonyms; exam_id is the Study Instance UID, so that whoever has the archive can find the exam.
    """
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        found = cohort_export.exported(held, Pseudonyms(settings.storage.pseudonym_key_file))
    tables.write(found.table, out)
    known = {name: found.table[name].count() for name in ("r1", "outcome") if name in found.table.columns}
    told = {"out": out, "exams": found.table.height, "known": known, "left_out": found.left_out, "model": found.model}
    if json:
        console.print_json(told)
        return
    console.say(f"{out}: {found.table.height} exams, scores of {found.model}")
    console.say(f"with readers' decisions: {known.get('r1', 0)}; with an outcome: {known.get('outcome', 0)}")
    for why, count in found.left_out.items():
        console.say(f"left out, {why}: {count}")


def simulate(
    out: _Out,
    *,
    exams: _Exams = _USUAL.exams,
    seed: _Seed = 1,
    rounds: _Rounds = _USUAL.rounds,
    systems: _Systems = _USUAL.systems,
    shown: _Shown = _USUAL.shown,
    hidden: _Hidden = _USUAL.hidden,
    sensitivity: _Sensitivity = None,
    strength: _Strength = _USUAL.strength,
    ai_alike: _Alike = _USUAL.ai_alike,
    stability: _Stability = _USUAL.stability,
    not_read: _NotRead = _USUAL.not_read,
) -> None:
    """Write the table of a screening programme that never was, to try the other commands on; no patient is in it."""
    programme = Programme(
        exams=exams,
        rounds=rounds,
        systems=systems,
        shown=shown,
        hidden=hidden,
        kinds={**KINDS, **dict(map(_kind, sensitivity or []))},
        strength=strength,
        ai_alike=ai_alike,
        stability=stability,
        not_read=not_read,
    )
    table = drawn_rounds.cohort(programme, seed)
    try:
        tables.write(table, out)
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from error
    counts = {str(name): count for name, count in table["outcome"].value_counts(sort=True).iter_rows()}
    console.say(f"{out}: {table.height} exams of {table['woman_id'].n_unique()} women, simulated; {counts}")


def _kind(text: str) -> tuple[str, Kind]:
    """A kind of lesion with other sensitivities: "mass=0.8,0.7"."""
    name, _, values = text.partition("=")
    if name not in KINDS:
        raise ConfigError(f"--sensitivity: lesion '{name}' is not known; allowed: {', '.join(KINDS)}")
    try:
        reader_1, reader_2 = (float(value) for value in values.split(","))
    except ValueError:
        reader_1 = reader_2 = -1.0
    if not (0 < reader_1 < 1 and 0 < reader_2 < 1):
        raise ConfigError(f"--sensitivity {name}: value '{values}' is not allowed; allowed: two shares, as 0.8,0.7")
    return name, Kind(KINDS[name].share, reader_1, reader_2)
