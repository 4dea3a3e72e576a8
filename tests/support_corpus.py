"""A drawn exam to spoil, fresh for every use, and the ways to judge and read it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.eligibility import EligibilityRules, Eligible, Ineligible, judge
from ai.exam import Exam
from ai.phantom import ExamSpec, Identity, simulate_exam
from ai.sources import Sources
from tests.support_exams import as_file

RULES = EligibilityRules()


@cache
def _files() -> tuple[bytes, ...]:
    spec = ExamSpec(name="", seed=5, identity=Identity(patient_name="Aas^Åse", patient_id="P-1"), pitch_mm=0.2)
    return tuple(as_file(dataset) for dataset in simulate_exam(spec).datasets)


def whole_exam() -> list[Dataset]:
    """The four views, R CC first, with their pixels."""
    return [dcmread(io.BytesIO(file)) for file in _files()]


def headers() -> list[Dataset]:
    """The four views without their pixels."""
    return [dcmread(io.BytesIO(file), stop_before_pixels=True) for file in _files()]


def uids() -> list[str]:
    """Of the four views."""
    return [str(each.SOPInstanceUID) for each in headers()]


def later(dataset: Dataset, number: int) -> Dataset:
    """The same dataset as another image, taken later."""
    dataset.SOPInstanceUID = f"2.25.{number}"
    dataset.AcquisitionTime = dataset.ContentTime = f"15{number:02d}00"
    return dataset


def stored(folder: Path, datasets: Iterable[Dataset]) -> tuple[Exam, Mapping[str, Path]]:
    """The exam and its files."""
    listed, files = list(datasets), {}
    for number, dataset in enumerate(listed):
        path = folder / f"{number}.dcm"
        path.write_bytes(as_file(dataset))
        files[str(dataset.SOPInstanceUID)] = path
    return Exam.from_datasets(listed), files


def looked_at(exam: Exam, files: Mapping[str, Path]) -> Eligible | Ineligible:
    """As the reader does it: judge, decode, judge again."""
    sources = Sources(files)
    while True:
        verdict = judge(exam, RULES, sources.unreadable)
        if isinstance(verdict, Ineligible) or sources.prepare(verdict.views.values()):
            return verdict
