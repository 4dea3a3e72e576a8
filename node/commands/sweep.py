"""Look through the kept files: those without a row, and rows whose file is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from node import console, holdings, sweeping
from node.console import ConfigOption, ExitCode, JsonOption


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("sweep")(sweep)


def sweep(
    config: ConfigOption = None,
    json: JsonOption = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove files that no row names and that are older than a day.")
    ] = False,
) -> None:
    """Look through all kept files, as the node does daily. Ends with 1 when a file is gone that a row names.

    A file without a row was never answered with success: whoever sent it has it.
    """
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        store = holdings.object_store(settings)
        found = sweeping.sweep(held.sweeps, store, datetime.now(UTC), remove=remove)
    if json:
        console.print_json(found)
    else:
        what = "removed" if remove else "are there"
        console.say(f"{found.orphans} files without a row {what} ({console.size(found.orphan_bytes)})")
        console.say(f"{found.missing} files are gone that rows name")
        for study in found.missing_studies:
            console.say(f"  of study {study}")
    if found.missing:
        console.end(ExitCode.WRONG)
