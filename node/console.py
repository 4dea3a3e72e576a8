"""What the commands share: the configuration they are asked for, how times and tables look, how a command ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from node import logs
from node.config import Config, load_config
from node.settings import LoggingSettings

#: The file that is used without --config, when it is in the working folder.
USUAL_CONFIG = Path("config.yaml")
#: Without a terminal there is no width to go by.
_PLAIN_WIDTH = 200


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    WRONG = 1  # it ran, and something is not as it should be
    REFUSED = 2  # usage or configuration
    FAULT = 3  # of this software
    INTERRUPTED = 130  # by a person or a supervisor


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="PATH", help="Settings; without it config.yaml in this folder, else the defaults."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def configuration(path: Path | None) -> Config:
    """The settings a command works with; the log, which is the running node's, is kept to warnings.

    Raises ConfigError.
    """
    logs.configure(LoggingSettings(level="warning"))
    return load_config(config_file(path))


def config_file(path: Path | None) -> Path | None:
    """The file of the settings: the one named, else config.yaml of this folder, else none."""
    return path or (USUAL_CONFIG if USUAL_CONFIG.is_file() else None)


def out() -> Console:
    """Standard output, for what was asked."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False, soft_wrap=False)


def err() -> Console:
    """Standard error, for progress and complaints."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _PLAIN_WIDTH, highlight=False)


def say(text: str, style: str = "") -> None:
    """A line on standard output, never folded and never taken for markup."""
    out().print(Text(text, style=style), soft_wrap=True)


def complain(text: str) -> None:
    """A line, or several, on standard error."""
    err().print(Text(f"mammo-node: {text}"), soft_wrap=True)


def end(code: ExitCode, complaint: str = "") -> NoReturn:
    """End the command."""
    if complaint:
        complain(complaint)
    raise typer.Exit(int(code))


def print_json(value: Any) -> None:
    """JSON on standard output: records and enums as their values, times in ISO 8601."""
    sys.stdout.write(json.dumps(plain(value), indent=1, ensure_ascii=False, default=_told) + "\n")


def plain(value: Any) -> Any:
    """`value` with records made to mappings."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value


def _told(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(*columns: str, title: str = "", right: Sequence[str] = ()) -> Table:
    """An empty table; the columns in `right` are numbers."""
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def rows(made: Table, lines: Iterable[Sequence[object]]) -> Table:
    """The table with these lines added; nothing in them is taken for markup."""
    for line in lines:
        made.add_row(*(each if isinstance(each, Text) else Text(str(each)) for each in line))
    return made


def progress(transient: bool = True) -> Progress:
    """A bar on standard error, for work of more than a second or two."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=transient,
    )


def seconds_since(moment: datetime) -> float:
    """How long ago, s."""
    return (datetime.now(UTC) - moment).total_seconds()


def duration(seconds: float) -> str:
    """A length of time in the two units that tell most: "48 s", "12 min", "3 h 5 min", "2 d 4 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: float) -> str:
    """Bytes for a person: "812 MB", "1.9 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("bytes", "kB", "MB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(at: datetime) -> str:
    """Local time for a person."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
