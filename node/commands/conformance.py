"""Print the DICOM Conformance Statement of the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from node import console
from node.conformance import markdown
from node.conformance.statement import statement
from node.console import ConfigOption


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("conformance")(conformance)


def conformance(
    config: ConfigOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file instead.")] = None,
) -> None:
    """Print the DICOM Conformance Statement of the configuration, as Markdown."""
    text = markdown.text(statement(console.configuration(config)))
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        console.say(f"written to {out}")
