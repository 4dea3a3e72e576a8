"""List model bundles, or import a published network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node import bundles, console
from node.bundles import Published
from node.console import ConfigOption, ExitCode, JsonOption


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(help="List model bundles, or import a published network.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("import")(import_)
    app.add_typer(group, name="model")


def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the shipped bundles and those of the configuration. Ends with 1 when weights are not the card's."""
    configured = console.configuration(config).reading.bundles
    found = list(bundles.shipped())
    names = {each.bundle for each in found}
    found += [bundles.bundle_line(Path(each)) for each in configured if each not in names]
    if json:
        console.print_json([{"configured": each.bundle in configured, "card": each} for each in found])
    else:
        columns = ("bundle", "configured", "name", "version", "task", "licence", "weights", "labelling")
        lines = [
            (
                each.bundle,
                "yes" if each.bundle in configured else "",
                each.name,
                each.version,
                each.task,
                each.licence,
                "whole" if each.whole else "NOT THE CARD'S",
                each.labelling,
            )
            for each in found
        ]
        console.out().print(console.rows(console.table(*columns), lines))
    if not all(each.whole for each in found):
        console.end(ExitCode.WRONG)


def import_(
    network: Annotated[Published, typer.Argument(help="Which published network.")],
    files: Annotated[
        list[Path], typer.Argument(help="Its files, as published; you bring them, under their own licence.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="The bundle's folder; by default bundles/<network>.")
    ] = None,
    allow_unknown_weights: Annotated[
        bool,
        typer.Option(help="Take files that are not the published ones; every result says that they are unverified."),
    ] = False,
) -> None:
    """Make a bundle of a published network's files; no code in them is run. Several are an ensemble: their mean."""
    folder = out or Path("bundles") / str(network)
    made = bundles.import_published(network, files, folder, allow_unknown_weights=allow_unknown_weights)
    console.say(f"{folder}: {made.name} {made.version} ({made.task}, {made.licence})")
    if made.labelling:
        console.say(made.labelling)
    path = folder if folder.is_absolute() else f"./{folder}"
    console.say(f"to use it, add {path} to reading.bundles in config.yaml")
