"""The child process that makes bundles: `python -m node.bundle_process nyu-density FILE FOLDER`.

It loads torch, which the node itself never does. Prints the card as JSON, or one line of what is wrong and ends with 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ai.models import ModelCard
from ai.published import ImportRefused, import_nyu_density

_IMPORTS: dict[str, Callable[[Path, Path], ModelCard]] = {"nyu-density": import_nyu_density}


def main() -> int:
    """Import the published network that the command line names."""
    name, file, folder = sys.argv[1:]
    try:
        card = _IMPORTS[name](Path(file), Path(folder))
    except (ImportRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(card.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
