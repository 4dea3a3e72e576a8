"""Synthetic exams as DICOM files with the truth about them, and a real exam's pictures as one of an invented woman."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset

from ai.exam import STANDARD_VIEWS
from ai.phantom import ExamSpec, Identity, SyntheticInstance, simulate_exam, wrap

#: The pictures of a real exam are this fine, as published.
_REAL_PITCH_MM = 0.1
_REAL_IDENTITY = Identity(patient_name="Published^Exam", patient_id="SYN-90001", patient_birth_date="19601015")
REAL_EXAM = "real exam (published pictures, invented woman)"


@dataclass(frozen=True, slots=True)
class MadeImage:
    """One image's file. late: to be sent after the exam has been answered."""

    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeExam:
    """An exam's files in the order a system sends them. truth: "cancer L", "no cancer", or "" where nobody knows."""

    name: str
    study_instance_uid: str
    images: tuple[MadeImage, ...]
    truth: str


def make(spec: ExamSpec, folder: Path) -> MadeExam:
    """The exam as `folder`/<its name>/<number>_<view>.dcm, with truth.json beside them."""
    exam = simulate_exam(spec)
    place = folder / slug(spec.name)
    place.mkdir(parents=True, exist_ok=True)
    images = [_written(place, number, each.dataset, late=each.late) for number, each in enumerate(exam.instances, 1)]
    sides = ", ".join(sorted(exam.malignant_sides))
    truth = {
        "name": spec.name,
        "seed": spec.seed,
        "study_instance_uid": str(exam.datasets[0].StudyInstanceUID),
        "breast_composition": str(spec.density),
        "malignant_sides": sorted(exam.malignant_sides),
        "images": [_truth(image, each) for image, each in zip(images, exam.instances, strict=True)],
    }
    (place / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return MadeExam(
        name=spec.name,
        study_instance_uid=str(exam.datasets[0].StudyInstanceUID),
        images=tuple(images),
        truth=f"cancer {sides}" if sides else "no cancer",
    )


def make_all(specs: Sequence[ExamSpec], folder: Path, *, workers: int = 2) -> Iterator[MadeExam]:
    """All exams, in the order in which they are done, made by up to `workers` processes."""
    workers = min(workers, os.cpu_count() or 1, len(specs))
    if workers <= 1:
        yield from (make(spec, folder) for spec in specs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_not_interrupted) as pool:
        try:
            for done in as_completed([pool.submit(make, spec, folder) for spec in specs]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _not_interrupted() -> None:
    """Ctrl-C is for the one who asked for the exams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_real(pictures: Path, folder: Path) -> MadeExam:
    """The exam of R-CC.png, L-CC.png, R-MLO.png and L-MLO.png in `pictures`, all with the chest wall at the left."""
    found = {view: np.asarray(Image.open(pictures / f"{str(view).replace(' ', '-')}.png")) for view in STANDARD_VIEWS}
    datasets = wrap(found, identity=_REAL_IDENTITY, imager_pixel_spacing_mm=_REAL_PITCH_MM, chest_wall_left=True)
    place = folder / slug(REAL_EXAM)
    place.mkdir(parents=True, exist_ok=True)
    images = [_written(place, number, dataset) for number, dataset in enumerate(datasets, 1)]
    return MadeExam(
        name=REAL_EXAM, study_instance_uid=str(datasets[0].StudyInstanceUID), images=tuple(images), truth=""
    )


def slug(name: str) -> str:
    """A folder's name for an exam's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _written(place: Path, number: int, dataset: FileDataset, *, late: bool = False) -> MadeImage:
    intent = "_raw" if dataset.PresentationIntentType == "FOR PROCESSING" else ""
    path = place / f"{number}_{dataset.ImageLaterality}_{dataset.ViewPosition}{intent}{'_late' if late else ''}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return MadeImage(path, str(dataset.SOPInstanceUID), str(dataset.SOPClassUID), late)


def _truth(image: MadeImage, instance: SyntheticInstance) -> dict[str, Any]:
    return {
        "file": image.path.name,
        "sop_instance_uid": image.sop_instance_uid,
        "view": str(instance.truth.standard_view),
        "presentation_intent_type": str(instance.dataset.PresentationIntentType),
        "transfer_syntax_uid": str(instance.dataset.file_meta.TransferSyntaxUID),
        "late": image.late,
        "implant": instance.truth.implant,
        "lesions": [asdict(box) for box in instance.truth.boxes],
    }
