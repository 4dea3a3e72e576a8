"""A cohort table and its images → training exams: what each breast should look like, and which women are kept apart.

Labels. A cancer that this exam's round had (screen-detected or interval) makes 1 of its breast, everything else 0; a
next-round cancer counts as none, for nobody could ask it of these images alone. The readers soften that: a share of
`reader_weight` of the label is what they saw, (r − 1) / 4, the mean of both and of what they gave that breast where the
table says it. So a healthy breast that both readers doubted teaches less than one that none looked at twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from ai.cohort import Outcome
from ai.eligibility import EligibilityRules, Ineligible, judge
from ai.exam import Exam, ImageLaterality
from ai.findings import FindingType, Stratum
from ai.pixels import PREPROCESSING_VERSION
from ai.sources import Sources
from ai.training.examples import DrawnBox, TrainingExam, TrainingView, cached, training_view

#: What a table must hold to be trained on.
NEEDED = ("images", "outcome")
_SHARES = {"training": 0.7, "tuning": 0.15, "test": 0.15}


class BoxRow(BaseModel):
    """A drawn lesion of a boxes file (a JSON list of these): box in stored pixels, left, top, right, bottom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sop_instance_uid: str
    box: tuple[float, float, float, float]
    finding_type: FindingType = FindingType.SOFT_TISSUE
    malignant: bool = True


_BOXES = TypeAdapter(list[BoxRow])


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exam that teaches nothing, and why."""

    exam_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The exams of a table, by part, and those that could not be used."""

    parts: Mapping[str, tuple[TrainingExam, ...]]
    refusals: tuple[Refusal, ...]

    @property
    def tally(self) -> Counter[str]:
        """Reason → number of exams refused for it."""
        return Counter(refusal.why for refusal in self.refusals)


def part_of(woman_id: str, seed: int) -> str:
    """training, tuning or test: of the woman, so that no two exams of hers are in different ones."""
    digest = hashlib.sha256(f"{seed} {woman_id}".encode()).digest()
    drawn, below = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name, share in _SHARES.items():
        below += share
        if drawn < below:
            return name
    return "test"


def labels(row: Mapping[str, Any], reader_weight: float) -> dict[ImageLaterality, float]:
    """Breast → 0–1, as the module says. A cancer whose side is not known labels neither breast: {}."""
    cancer = row["outcome"] in (Outcome.SDC, Outcome.IC)
    side = row.get("cancer_side")
    if cancer and side is None:
        return {}
    return {
        breast: (1 - reader_weight) * float(cancer and side in (breast, "B")) + reader_weight * _seen(row, breast)
        for breast in ImageLaterality
    }


def _seen(row: Mapping[str, Any], breast: ImageLaterality) -> float:
    """How suspicious the readers found the breast, 0–1; without any score 0."""
    name = "right" if breast is ImageLaterality.RIGHT else "left"
    found = [score for reader in ("r1", "r2") if (score := row.get(f"{reader}_{name}") or row.get(reader)) is not None]
    return sum((score - 1) / 4 for score in found) / len(found) if found else 0.0


def prepare(
    table: pl.DataFrame,
    folder: Path,
    *,
    seed: int,
    reader_weight: float,
    cache: Path,
    done: Callable[[int], None] = lambda _count: None,
) -> Prepared:
    """Every exam of the table as training sees it. folder: what the table's paths start from.

    cache: kept between runs; an exam is prepared again when its files, or what prepares them, changed.
    """
    parts: dict[str, list[TrainingExam]] = {name: [] for name in _SHARES}
    refusals = []
    for count, row in enumerate(table.iter_rows(named=True), start=1):
        try:
            exam = _exam(row, folder, reader_weight, cache)
        except _Unusable as unusable:
            refusals.append(Refusal(row["exam_id"], str(unusable)))
        else:
            parts[part_of(row["woman_id"], seed)].append(exam)
        done(count)
    return Prepared({name: tuple(exams) for name, exams in parts.items()}, tuple(refusals))


class _Unusable(Exception):
    """An exam that teaches nothing."""


def _exam(row: Mapping[str, Any], folder: Path, reader_weight: float, cache: Path) -> TrainingExam:
    files = _files(folder / row["images"])
    drawn = _boxes(folder / row["boxes"]) if row.get("boxes") else None
    key = _key(files, drawn)
    views = cached(partial(_views, files, drawn or []), cache / f"{key}.npz")
    cancer = row["outcome"] in (Outcome.SDC, Outcome.IC)
    sides = {view.standard_view.image_laterality for view in views}
    stratum = Stratum(
        manufacturer=row.get("manufacturer") or "",
        manufacturer_model_name=row.get("manufacturer_model_name") or "",
        software_versions=row.get("software_versions") or "",
    )
    return TrainingExam(
        views=views,
        labels={side: label for side, label in labels(row, reader_weight).items() if side in sides},
        cancer=cancer,
        # without a boxes file a healthy exam has nothing to draw, one with cancer has
        drawn=drawn is not None or not cancer,
        woman_id=row["woman_id"],
        stratum=stratum,
    )


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []
    if not found:
        raise _Unusable("no images where the table says")
    return found


def _boxes(path: Path) -> list[BoxRow]:
    try:
        return _BOXES.validate_json(path.read_bytes())
    except OSError as error:
        raise _Unusable("the boxes file is missing or unreadable") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _Unusable(f"the boxes file: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _key(files: Sequence[Path], drawn: Sequence[BoxRow] | None) -> str:
    digest = hashlib.sha256(PREPROCESSING_VERSION.encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(json.dumps([box.model_dump(mode="json") for box in drawn or ()]).encode())
    return digest.hexdigest()[:32]


def _views(files: Sequence[Path], drawn: Sequence[BoxRow]) -> list[TrainingView]:
    """The exam's four views as they would be read. Raises _Unusable with the reason's code where they would not be."""
    headers = {header.SOPInstanceUID: (header, path) for path, header in _headers(files)}
    if not headers:
        raise _Unusable("no DICOM images where the table says")
    try:
        exam = Exam.from_datasets(header for header, _ in headers.values())
    except ValueError as error:
        raise _Unusable(str(error)) from error
    sources = Sources({uid: path for uid, (_, path) in headers.items()})
    while True:
        verdict = judge(exam, EligibilityRules(), sources.unreadable)
        if isinstance(verdict, Ineligible):
            raise _Unusable("not eligible: " + ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons)))
        if sources.prepare(verdict.views.values()):
            break
    by_image: dict[str, list[DrawnBox]] = {}
    for row in drawn:
        by_image.setdefault(row.sop_instance_uid, []).append(DrawnBox(row.box, row.finding_type, row.malignant))
    return [
        training_view(sources.breasts[view.sop_instance_uid], standard, by_image.get(view.sop_instance_uid, []))
        for standard, view in verdict.views.items()
    ]


def _headers(files: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
    for path in files:
        try:
            yield path, dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue
