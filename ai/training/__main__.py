"""Train the demonstration model: `python -m ai.training --out FOLDER --seed 7`.

With the default sizes it takes about 40 minutes on one core, most of it drawing images. The same seed on the same
machine and library versions gives the same weights.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from ai.training.fit import FitSettings
from ai.training.make import Sizes, make_bundle


def main() -> None:
    """Parse the command line, train, write the bundle."""
    sizes, settings = Sizes(), FitSettings()
    parser = argparse.ArgumentParser(prog="python -m ai.training", description="Train the demonstration model.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the bundle to")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--training-exams", type=int, default=sizes.training)
    parser.add_argument("--tuning-exams", type=int, default=sizes.tuning)
    parser.add_argument("--reference-exams", type=int, default=sizes.reference)
    parser.add_argument("--steps", type=int, default=settings.steps)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="folder to keep drawn exams in between runs")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    torch.set_num_threads(given.threads)
    make_bundle(
        given.out,
        seed=given.seed,
        sizes=Sizes(training=given.training_exams, tuning=given.tuning_exams, reference=given.reference_exams),
        settings=FitSettings(steps=given.steps),
        cache=given.cache,
    )


if __name__ == "__main__":
    main()
