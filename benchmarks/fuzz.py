"""Spoiled bytes for everything that takes bytes from strangers: associations, files, STOW-RS bodies.

    python benchmarks/fuzz.py [--inputs 1000000] [--seed 1] [--json]

The inputs are shared out among the targets, a tenth to files, which take longest. Nothing may raise, take long, or
grow; the first input that does is written to a file and its seed is told, with which it comes again.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
import warnings
from pathlib import Path

from tests.support_fuzz import TARGETS, bounded, random_edits, scratch, spoiled


def fuzzed(name: str, inputs: int, seed: int, folder: Path) -> dict[str, float]:
    """Run one target; how many inputs, and how many a second."""
    make, seeds = TARGETS[name]
    target, contents, begun = make(folder / name), seeds(), time.monotonic()
    with bounded() as run:
        for number in range(inputs):
            source = random.Random(f"{seed}-{name}-{number}")
            content = spoiled(source.choice(contents), random_edits(source))
            try:
                run(target, content)
            except BaseException:
                Path(f"fuzz-{name}-{seed}-{number}.bin").write_bytes(content)
                print(f"{name}: input {number} of seed {seed}; written to fuzz-{name}-{seed}-{number}.bin")
                raise
    return {"inputs": inputs, "inputs_per_s": inputs / (time.monotonic() - begun)}


def share(name: str, inputs: int) -> int:
    """How many of all inputs a target gets."""
    return -(-inputs // 10) if name == "files" else -(-inputs * 9 // 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with scratch() as folder:
        found = {name: fuzzed(name, share(name, arguments.inputs), arguments.seed, folder) for name in TARGETS}
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "targets": found}))
        return
    for name, row in found.items():
        print(f"{name:14s} {row['inputs']:9.0f} inputs, {row['inputs_per_s']:7.0f} a second, nothing raised")


if __name__ == "__main__":
    main()
