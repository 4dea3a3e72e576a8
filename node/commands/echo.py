"""Ask a peer whether it answers (C-ECHO)."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

import typer

from node import console
from node.console import ConfigOption, ExitCode, JsonOption
from node.dimse import scu
from node.errors import DeliveryError
from node.peers import named_peer


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("echo")(echo)


def echo(
    name: Annotated[str, typer.Argument(help="A peer of the configuration, or AE_TITLE@HOST:PORT.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a peer whether it answers (C-ECHO). Ends with 1 when it does not."""
    settings = console.configuration(config)
    peer = named_peer(settings, name)
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    started, error = perf_counter(), ""
    try:
        scu.echo(peer, settings.node.ae_title)
    except DeliveryError as problem:
        error = str(problem)
    answer = {"peer": name, "address": where, "ok": not error, "error": error, "seconds": perf_counter() - started}
    if json:
        console.print_json(answer)
    elif not error:
        console.say(f"{name}: {where} answers, in {1000 * (perf_counter() - started):.0f} ms")
    if error:
        advice = "is it running, and does it know this node's AE title and address?"
        console.end(ExitCode.WRONG, "" if json else f"{name}: {error}; {advice}")
