"""Scores in a table, by stratum and in the order they came, for looking at drift."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ai.calibration import matched
from ai.findings import Stratum
from node.errors import ConfigError

_STRATUM = ("manufacturer", "manufacturer_model_name", "software_versions")
_READ = "READ"


@dataclass(slots=True)
class Scores:
    """Of one stratum; None is an exam that was not read."""

    stratum: Stratum
    scores: list[float | None] = field(default_factory=list)

    @property
    def read(self) -> list[float]:
        """Of the exams that were read."""
        return [score for score in self.scores if score is not None]

    @property
    def unread(self) -> int:
        """Exams that were not."""
        return len(self.scores) - len(self.read)


def read(path: Path, column: str, *, unordered: bool = False) -> dict[tuple[str, str, str], Scores]:
    """The scores of each stratum of a CSV file; columns that name the stratum may be absent, and gate and study_date.

    Rows go by study_date where there is one, else as they stand;
    unordered: in a random order, always the same. Raises ConfigError with line, column and value.
    """
    rows = _rows(path)
    if not rows:
        raise ConfigError(f"{path}: the table has no row")
    if column not in rows[0][1]:
        raise ConfigError(f"{path}: --score-column: {column} is no column; allowed: {', '.join(rows[0][1])}")
    found: dict[tuple[str, str, str], Scores] = {}
    rows = sorted(rows, key=lambda each: each[1].get("study_date") or "")
    if unordered:
        random.Random(len(rows)).shuffle(rows)
    for line, row in rows:
        stratum = Stratum(**{name: (row.get(name) or "").strip() for name in _STRATUM})
        scores = found.setdefault(matched(stratum), Scores(stratum))
        scores.scores.append(_score(path, line, row, column))
    return found


def _rows(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(enumerate(csv.DictReader(file), start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error


def _score(path: Path, line: int, row: Mapping[str, str], column: str) -> float | None:
    if (row.get("gate") or _READ) != _READ:
        return None
    try:
        score = float(row[column])
    except (TypeError, ValueError):
        score = math.nan
    if not 0.0 <= score <= 1.0:
        raise ConfigError(f"{path}, line {line}: {column}: value '{row[column]}' is not allowed; allowed: 0 to 1")
    return score


def reference_of(
    wanted: tuple[str, str, str], references: Mapping[tuple[str, str, str], Scores]
) -> tuple[Scores | None, str]:
    """The reference's scores of a stratum, and a sentence where they are not simply its own.

    A reference without strata is everybody's.
    """
    if wanted in references:
        return references[wanted], ""
    if set(references) == {("", "", "")}:
        return references["", "", ""], "the reference names no system: it is taken for this one's"
    before = [each.stratum for key, each in references.items() if key[:2] == wanted[:2]]
    if before:
        versions = ", ".join(each.software_versions for each in before)
        return None, f"the software is another: the reference has {versions}; nothing is NEGATIVE until calibrated"
    return None, "the reference has no exams of this system"
