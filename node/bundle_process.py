"""The child process that makes bundles: `python -m node.bundle_process NETWORK FOLDER FILE…`.

It loads torch, which the node itself never does. Prints the card as JSON, or one line of what is wrong and ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ai.models import ModelCard
from ai.published import ImportRefused, import_nyu_density
from ai.published_gmic import import_nyu_gmic


def _import(network: str, files: Sequence[Path], folder: Path, *, allow_unknown: bool) -> ModelCard:
    if network == "nyu-gmic":
        return import_nyu_gmic(files, folder, allow_unknown=allow_unknown)
    if len(files) != 1 or allow_unknown:
        raise ImportRefused(f"{network} is one published file, and no other is taken for it")
    return import_nyu_density(files[0], folder)


def main() -> int:
    """Import the published network that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=("nyu-density", "nyu-gmic"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--allow-unknown-weights", action="store_true")
    asked = parser.parse_args()
    try:
        card = _import(asked.network, asked.files, asked.folder, allow_unknown=asked.allow_unknown_weights)
    except (ImportRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(card.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
