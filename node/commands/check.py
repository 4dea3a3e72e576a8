"""Check the configuration and everything it names, and say what to mend."""

from __future__ import annotations

import typer

from node import checks, console
from node.checks import Check
from node.console import ConfigOption, ExitCode, JsonOption


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("check")(check)


def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Check configuration, port, disk, database, peers, destinations and models. Ends with 1 when any is wrong."""
    settings = console.configuration(config)
    found: list[Check] = []
    for each in checks.every(settings):
        found.append(each)
        if not json:
            console.say(f"{'ok   ' if each.ok else 'WRONG'}  {each.what}: {each.told}", "" if each.ok else "bold red")
            if each.advice:
                console.say(f"       → {each.advice}")
    if json:
        console.print_json(found)
    if not all(each.ok for each in found):
        console.end(ExitCode.WRONG)
