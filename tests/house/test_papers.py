"""What stands beside the code: README, dependencies and their licences, nothing of one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]]
DEVELOPMENT = [canonicalize_name(Requirement(each).name) for each in PROJECT["optional-dependencies"]["dev"]]
GPL = re.compile(r"(?<!L)GPL|GNU (Affero )?General Public")

#: Assembled, so that this file does not hold them itself.
MACHINE_PATHS = [f"/{name}/" for name in ("work", "tmp", "root", "home")]
REGISTRIES = [f"{name}.org" for name in ("pypi", "pythonhosted", "download.pytorch", "deb.debian", "registry.npmjs")]
REGISTRIES += [f"{name}.io" for name in ("ghcr", "docker", "quay")]


def pinned() -> dict[str, str]:
    """Package → version, of constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in requirements}


def installed(names: list[str]) -> dict[str, metadata.Distribution]:
    """The named distributions and everything they need to run here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = metadata.distribution(name)
            needs = [Requirement(each) for each in found[name].requires or []]
            waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def licence(distribution: metadata.Distribution) -> str:
    """The licence as the package states it: expression, else classifiers, else the field's first line."""
    fields = distribution.metadata
    classifiers = [each.rpartition(" :: ")[2] for each in fields.get_all("Classifier") or [] if "License ::" in each]
    stated = fields.get("License-Expression") or "; ".join(classifiers) or (fields.get("License") or "")
    return stated.strip().splitlines()[0] if stated.strip() else ""


def table() -> dict[str, list[str]]:
    """Package → the other cells of its row in docs/dependencies.md."""
    text = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {canonicalize_name(row[0].strip("`")): row[1:] for row in rows}


def tracked() -> Iterator[Path]:
    """The repository's own files."""
    git = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    if git.returncode != 0:
        pytest.fail(f"git cannot list the files: {git.stderr}")
    yield from (REPOSITORY / name for name in git.stdout.split("\0") if name and (REPOSITORY / name).is_file())


def test_no_dependency_is_under_the_gpl() -> None:
    """LGPL libraries may be imported; GPL and AGPL ones would bind the whole node."""
    licences = {name: licence(each) for name, each in installed(DIRECT).items()}
    assert {name: text for name, text in licences.items() if GPL.search(text)} == {}
    assert [name for name, text in licences.items() if not text] == [], "these state no licence: look and decide"


@pytest.mark.parametrize(
    ("text", "is_gpl"),
    [
        ("GPL-3.0-only", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("AGPL-3.0-or-later", True),
        ("GNU Affero General Public License v3", True),
        ("LGPL-3.0-only", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MIT", False),
    ],
)
def test_the_gpl_is_recognised(text: str, is_gpl: bool) -> None:
    assert bool(GPL.search(text)) is is_gpl


@pytest.mark.parametrize("name", [*DIRECT, *DEVELOPMENT])
def test_a_direct_dependency_is_pinned_and_explained(name: str) -> None:
    rows = table()
    assert name in pinned(), f"{name} is not in constraints.txt"
    assert name in rows, f"{name} is not in docs/dependencies.md"
    version, licence_cell, why = rows[name]
    assert version == pinned()[name], f"docs/dependencies.md says {name} {version}, constraints.txt {pinned()[name]}"
    assert licence_cell, f"docs/dependencies.md does not say the licence of {name}"
    assert why, f"docs/dependencies.md does not say why {name} is here"


def test_nothing_is_explained_that_is_not_used() -> None:
    assert sorted(set(table()) - {*DIRECT, *DEVELOPMENT}) == []


def test_what_is_installed_is_what_is_pinned() -> None:
    """A build for one kind of machine ("+cpu") counts as its version."""
    pins = pinned()
    here = {name: each.version.partition("+")[0] for name, each in installed([*DIRECT, *DEVELOPMENT]).items()}
    del here["setuptools"]  # comes with the environment, not with the project
    assert {name: (version, pins.get(name)) for name, version in here.items() if version != pins.get(name)} == {}


def test_nothing_of_one_machine_is_in_a_file() -> None:
    found = []
    for file in tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a font, weights, a picture
        found += [f"{file.relative_to(REPOSITORY)}: {each}" for each in (*MACHINE_PATHS, *REGISTRIES) if each in text]
    assert found == []


def test_readme_names_the_commands_and_every_folder() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    folders = {file.relative_to(REPOSITORY).parts[0] for file in tracked() if file.parent != REPOSITORY}
    wanted = ["make demo", "make test", "make serve", *(f"`{each}/`" for each in sorted(folders))]
    assert [each for each in wanted if each not in text] == []


def test_the_changelog_has_this_version() -> None:
    assert f"## {PROJECT['version']}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
