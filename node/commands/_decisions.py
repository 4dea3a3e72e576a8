"""What the commands share by which a person makes something count: who and why, the answer, the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from node import console, holdings
from node.audit import decided
from node.config import Config
from node.decisions import Entry

ByOption = Annotated[str, typer.Option("--by", help="Who decides this; kept in the history.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
ProposerOption = Annotated[str, typer.Option("--by", help="Who proposes; by default the user of this machine.")]


def tell(settings: Config, entry: Entry, what: str, *, them: str, json: bool) -> None:
    """What counts from now on, told to the audit trail too. what: "calibration"; them: what a node takes up, "it"."""
    decided.entered(settings, [entry])
    if json:
        console.print_json(entry.model_dump(mode="json"))
        return
    runs = f"; the running node takes {them} up by itself" if holdings.node_runs(settings) else ""
    console.say(f"{what} {entry.version} count{'s' if them == 'it' else ''} from the next exam on{runs}")


def show_history(entries: Sequence[Entry], version: str) -> None:
    """A table of decisions. version: what its column is called."""
    if not entries:
        return
    made = console.table("", "when", "what", version, "weights", "by", "why", right=("",))
    lines = [
        (e.number, console.moment(e.at), e.action, e.version, e.weights_sha256[:12], e.by, e.reason) for e in entries
    ]
    console.out().print(console.rows(made, lines))
