"""The command `mammo-node`. What each command does is in its module of `node.commands`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from node import commands
from node.errors import ConfigError, NodeError

_HELP = """DICOM node that reads breast-screening exams and returns the results to the PACS.

Ends with 0 when all is well, 1 when something is not as it should be (an exam not read, a peer that does not
answer, …), 2 when the command line or the configuration cannot be used, 3 at a fault of this software,
130 when interrupted.
"""


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """The application for these arguments: of the commands, only the one they name is imported."""
    app = typer.Typer(
        name="mammo-node",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    wanted = next((each for each in arguments if not each.startswith("-")), "")
    for name, sentence in commands.offered().items():
        if name == wanted:
            commands.load(name).register(app)
        else:
            app.command(name, help=sentence)(_unused)
    return app


def main() -> None:
    """Run the command line and end the process."""
    try:
        make_app(sys.argv[1:])()
    except ConfigError as error:
        _end(2, str(error))
    except NodeError as error:
        _end(1, str(error))
    except BrokenPipeError:
        # the reader of a pipe, such as head, has had enough; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 told below; values stay out of it, they may be a patient's
        _end(3, _fault(error))


def _print_version(asked: bool) -> None:
    if asked:
        print(f"mammo-node {version('mammo-node')}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of no command in particular."""


def _unused() -> None:
    """Stands for a command that these arguments do not name."""


def _end(code: int, complaint: str) -> None:
    for line in complaint.splitlines():
        print(f"mammo-node: {line}", file=sys.stderr)
    sys.exit(code)


def _fault(error: Exception) -> str:
    """What went wrong and where, without the message of a foreign exception."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    message = f": {error}" if isinstance(error, OSError) else ""
    return f"a fault of this software: {type(error).__name__}{message} at {places}"


if __name__ == "__main__":
    main()
