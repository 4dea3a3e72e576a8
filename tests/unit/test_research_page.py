"""What docs/research.md says works as it stands there: its blocks are run in order, as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai import cohort

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "research.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for named, text in BLOCKS if named == language]


OFFERED = "import ai.models; ai.models.__path__.append({folder!r})"


@dataclass(frozen=True)
class Place:
    """A folder to work in, where modules in `models` are offered as if they lay in ai/models/."""

    folder: Path

    def python(self, *arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}"}
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    offered = tmp_path / "models"
    offered.mkdir()
    (tmp_path / "sitecustomize.py").write_text(OFFERED.format(folder=str(offered)), encoding="utf-8")
    return Place(tmp_path)


def test_the_page_s_network_reads_a_drawn_exam_from_its_bundle(place: Place) -> None:
    model, writing = blocks("python")
    (place.folder / "models" / "bright_spot.py").write_text(model, encoding="utf-8")
    place.python("-c", writing)
    for line in blocks("console")[0].splitlines():
        program, *arguments = line.split()
        assert program == "mammo-node"
        printed = place.python("-m", "node.cli", *arguments)
    (answer,) = json.loads(printed)
    assert answer["read"], answer["error"]
    reading = answer["reading"]
    assert reading["category"] == "INDETERMINATE", "without a reference population nothing is ruled out"
    assert len(reading["views"]) == 4
    assert all(0 <= view["probability"] <= 1 for view in reading["views"])


def test_the_page_s_table_is_a_cohort_table(tmp_path: Path) -> None:
    (table,) = blocks("csv")
    path = tmp_path / "cohort.csv"
    path.write_text(table, encoding="utf-8")
    assert cohort.read(path, ["images", "outcome"]).height == 3


def test_every_column_the_page_names_is_one_of_the_table() -> None:
    (rows,) = re.findall(r"^\| to \| columns.*?\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`([a-z_0-9]+)`", rows))
    assert named
    assert named <= set(cohort.COLUMNS), named - set(cohort.COLUMNS)


def test_every_command_the_page_names_is_one() -> None:
    commands = set(re.findall(r"mammo-node ([a-z-]+)", PAGE.read_text(encoding="utf-8")))
    offered = subprocess.run([sys.executable, "-m", "node.cli", "--help"], capture_output=True, text=True, check=True)
    assert commands
    assert all(command in offered.stdout for command in commands), commands
