"""Send results that are held because the archive has the study under another patient."""

from __future__ import annotations

from typing import Annotated

import typer

from node import console, holdings
from node.app import Node
from node.audit import codes, decided
from node.commands.show import find
from node.console import ConfigOption, ExitCode


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("release")(release)


def release(
    study: Annotated[str, typer.Argument(help="Study Instance UID, or a part that only one study has.")],
    config: ConfigOption = None,
) -> None:
    """Send the held results of one exam as they are, with the identity that the exam came with.

    To have the archive asked again, once the patient was corrected there: requeue. Ends with 1 when nothing was held.
    """
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        uid = find(held, study).study_instance_uid
    node = Node(settings)
    node.connect()
    try:
        count = node.orders.release(uid)
    finally:
        node.stop()
    if not count:
        console.end(ExitCode.WRONG, f"{uid}: nothing of it is held")
    text = f"{count} held results released, with the identity that the exam came with"
    decided.decided(settings, f"study/{uid}", text, "", codes.RESTRICTED_FUNCTION)
    console.say(f"{uid}: {count} results will be sent as they are")
    if not holdings.node_runs(settings):
        console.say("no node runs: it is taken up when one is started (mammo-node serve)")
