"""One engine in a process of its own, asked over standard input: a line, and it reads every exam once and tells.

    python benchmarks/_reads.py demo|gmic THREADS EXAMS

EXAMS is a folder of folders of DICOM files. The weights of `gmic` are untrained: they cost what trained ones cost.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydicom import dcmread

from ai import bundle
from ai.bundle import Bundle
from ai.calibration import NO_WINDOW, OperatingPoints
from ai.eligibility import EligibilityRules
from ai.exam import Exam, StandardView
from ai.inference import Engine
from ai.models import gmic
from ai.models._gmic_input import gmic_input
from ai.models._input import network_input
from ai.models._threads import threads_shared
from ai.pixels import BreastImage
from ai.self_check import SelfCheck
from ai.sources import Sources
from ai.spread import spread

Views = Mapping[StandardView, BreastImage]


def gmic_bundle(folder: Path) -> Path:
    rules, check = EligibilityRules(), SelfCheck(expected={})
    bundle.write(
        folder, card=gmic.CARD, weights=gmic.fresh(1), eligibility=rules, self_check=check, calibration=NO_WINDOW
    )
    return folder


def gmic_network(model: Any, views: Views) -> Callable[[], object]:
    """The network alone, on inputs made before, as the model runs it."""
    inputs = [torch.from_numpy(gmic_input(image).values)[None, None] for image in views.values()]

    @torch.inference_mode()
    def one(values: torch.Tensor) -> object:
        return [network(values) for network in model.networks.values()]

    def run() -> None:
        with threads_shared(len(inputs)) as workers:
            spread(one, inputs, workers)

    return run


def demo_network(model: Any, views: Views) -> Callable[[], object]:
    inputs = [torch.from_numpy(network_input(image).values[None]) for image in views.values()]

    @torch.inference_mode()
    def run() -> None:
        for values in inputs:
            model.net(values.contiguous(memory_format=torch.channels_last))

    return run


@contextmanager
def timed(into: dict[str, float], name: str) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into[f"{name}_s"] = time.perf_counter() - wall
    into[f"{name}_cpu_s"] = time.process_time() - cpu


def read(engine: Engine, loaded: Bundle, folder: Path, network: Callable[..., Callable[[], object]]) -> dict[str, Any]:
    """One exam: the whole way, what it said of its stages, and beside it the network alone."""
    paths = sorted(folder.glob("*.dcm"))
    told: dict[str, Any] = {}
    with timed(told, "exam"):
        headers = [dcmread(path, stop_before_pixels=True) for path in paths]
        exam = Exam.from_datasets(headers)
        files = {str(header.SOPInstanceUID): path for header, path in zip(headers, paths, strict=True)}
        reading = engine.read(exam, files, revision=1).reading
    assert reading.score is not None, [str(reason.code) for reason in reading.reasons]
    stages = dict(reading.timings_s)
    told["stages_s"] = stages | {"headers and previews": told["exam_s"] - sum(stages.values())}
    sources = Sources(files)
    sources.prepare(exam.views)
    views = {each.view.standard_view: each for each in sources.breasts.values() if each.view.standard_view}
    run = network(loaded.model, views)
    with timed(told, "network"):
        run()
    return told


def main() -> None:
    kind, threads, exams = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        folder = bundle.DEMO if kind == "demo" else gmic_bundle(Path(scratch) / "gmic")
        engine = Engine([folder], operating_points=OperatingPoints(), threads=threads)
        loaded, network = Bundle.load(folder), demo_network if kind == "demo" else gmic_network
        for line in sys.stdin:
            assert line
            told = [read(engine, loaded, each, network) for each in sorted(exams.iterdir())]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"exams": told, "peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()
