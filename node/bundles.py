"""Model bundles as a person handles them: which are shipped, and making one of a published network's file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import ai
from node.errors import ConfigError

_SHIPPED = Path(ai.__file__).parent / "bundles"
_TIMEOUT_S = 600


class Published(StrEnum):
    """Published networks that can be brought in; nothing of them is shipped."""

    NYU_DENSITY = "nyu-density"
    NYU_GMIC = "nyu-gmic"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLine:
    """A bundle and what its card says. whole: its weights are those that the card names."""

    bundle: str
    name: str
    version: str
    task: str
    licence: str
    labelling: str
    whole: bool


def import_published(
    network: Published, files: Sequence[Path], folder: Path, *, allow_unknown_weights: bool = False
) -> BundleLine:
    """Make a bundle of a published network's `files` in `folder`. Raises ConfigError.

    allow_unknown_weights: take files that are not the published ones, and mark the bundle as unverified.
    """
    command = [sys.executable, "-m", "node.bundle_process", str(network), str(folder), *map(str, files)]
    if allow_unknown_weights:
        command.append("--allow-unknown-weights")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise ConfigError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the import failed")
    return bundle_line(folder)


def shipped() -> Iterator[BundleLine]:
    """The bundles that come with this software."""
    for folder in sorted(_SHIPPED.iterdir()):
        if (folder / "card.json").is_file():
            yield bundle_line(folder, folder.name)


def bundle_line(folder: Path, bundle: str = "") -> BundleLine:
    """What the card in `folder` says. Raises ConfigError when there is none."""
    try:
        card = json.loads((folder / "card.json").read_bytes())
        digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} holds no bundle: {error}") from error
    told = {key: str(card.get(key, "")) for key in ("name", "version", "task", "licence", "labelling")}
    return BundleLine(bundle=bundle or str(folder), whole=digest == card.get("weights_sha256"), **told)
