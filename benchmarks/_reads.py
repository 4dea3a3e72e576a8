"""One engine in a process of its own, asked over standard input: a line, and it reads every exam once and tells.

    python benchmarks/_reads.py demo|gmic DEVICE THREADS BATCH AHEAD EXAMS

EXAMS is a folder of folders of DICOM files. The weights of `gmic` are untrained: they cost what trained ones cost.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydicom import dcmread

from ai import bundle
from ai.bundle import Bundle
from ai.calibration import NO_WINDOW, OperatingPoints
from ai.device import chosen
from ai.eligibility import EligibilityRules
from ai.exam import Exam
from ai.findings import ReadOutcome
from ai.inference import Engine
from ai.models import DetectionModel, gmic
from ai.read_ahead import Pace, ReadAhead
from ai.request import ReadRequest
from ai.self_check import SelfCheck
from ai.sources import Sources

#: The stages that a reading tells of, as the shares are asked for.
STAGES = {"decode": "decode", "preprocess": "preprocess", "network": "network", "post": "post", "previews": "post"}


def gmic_bundle(folder: Path) -> Path:
    rules, check = EligibilityRules(), SelfCheck(expected={})
    bundle.write(
        folder, card=gmic.CARD, weights=gmic.fresh(1), eligibility=rules, self_check=check, calibration=NO_WINDOW
    )
    return folder


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into[f"{name}_s"] = time.perf_counter() - wall
    into[f"{name}_cpu_s"] = time.process_time() - cpu


def request(folder: Path) -> ReadRequest:
    paths = sorted(folder.glob("*.dcm"))
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    files = {str(header.SOPInstanceUID): path for header, path in zip(headers, paths, strict=True)}
    return ReadRequest(Exam.from_datasets(headers), files, 1)


def read_all(engine: Engine, pace: Pace, threads: int, folders: Sequence[Path]) -> dict[str, Any]:
    """Every exam from its files to its Reading; per exam."""
    answers: dict[int, ReadOutcome | Exception] = {}
    told: dict[str, Any] = {}
    with timed(told, "exam"), ReadAhead(engine, pace, threads, answers.__setitem__) as reading:
        for number, folder in enumerate(folders):
            reading.read(number, request(folder))
    told = {name: spent / len(folders) for name, spent in told.items()}
    return {**told, "stages_s": stages(list(answers.values()))}


def stages(answers: Sequence[ReadOutcome | Exception]) -> dict[str, float]:
    """Means per exam."""
    spent = dict.fromkeys(STAGES.values(), 0.0)
    for answer in answers:
        assert isinstance(answer, ReadOutcome), answer
        assert answer.reading.score is not None, [str(reason.code) for reason in answer.reading.reasons]
        for name, seconds in answer.reading.timings_s.items():
            spent[STAGES.get(name, "post")] += seconds / len(answers)
    return spent


def network_alone(model: DetectionModel, pace: Pace, folders: Sequence[Path]) -> dict[str, float]:
    """The model on inputs made before, in batches as large as when reading; per exam."""
    told: dict[str, float] = {}
    asked = [request(folder) for folder in folders[: pace.batch]]
    inputs = []
    for each in asked:
        sources = Sources(each.files)
        sources.prepare(each.exam.views)
        inputs += [model.prepare(view) for view in sources.breasts.values()]
    with timed(told, "network"):
        model.answer(inputs)
    return {name: spent / len(asked) for name, spent in told.items()}


def main() -> None:
    kind, device, threads, batch, ahead, exams = sys.argv[1:]
    pace = Pace(batch=int(batch), ahead=int(ahead))
    folders = sorted(Path(exams).iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        folder = bundle.DEMO if kind == "demo" else gmic_bundle(Path(scratch) / "gmic")
        engine = Engine([folder], operating_points=OperatingPoints(), device=device, threads=int(threads))
        model = cast("DetectionModel", Bundle.load(folder, chosen(device)).model)
        for line in sys.stdin:
            assert line
            told = read_all(engine, pace, int(threads), folders)
            told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({**told, **network_alone(model, pace, folders)}), flush=True)


if __name__ == "__main__":
    main()
