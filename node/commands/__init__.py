"""The commands of `mammo-node`: one module each; its name is the command's, with "-" for "_".

The first line of a module's docstring is what the overview says of it. It offers `register(app)`, which adds the
command. A module is imported only when its command is called, so that each starts fast.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Protocol, cast

import typer

from ai import extensions


class Command(Protocol):
    """What a module of this package offers."""

    def register(self, app: typer.Typer) -> None:
        """Add the command to `app`."""


def offered() -> dict[str, str]:
    """Every command with its sentence; nothing is imported for it."""
    return {name.replace("_", "-"): _sentence(name) for name in extensions.offered(sys.modules[__name__])}


def load(command: str) -> Command:
    """The module of a command. Raises NoSuchExtension."""
    return cast("Command", extensions.load(sys.modules[__name__], command.replace("-", "_")))


def _sentence(name: str) -> str:
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return docstring.partition("\n")[0]
