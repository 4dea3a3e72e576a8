"""Scores to calibrate from: the node's own stored readings, or a table that a site brings. No outcome is needed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai.calibration import SCREENING
from ai.findings import Category, Stratum
from ai.placing import SEVERAL_SYSTEMS
from ai.proposals import ScoredExam
from node.calibrations import ServedModel
from node.errors import ConfigError
from node.holdings import Holdings
from storage.records import Study, StudyState

_READ, _NOT_READ = "READ", "not read"
_STRATUM = ("manufacturer", "manufacturer_model_name", "software_versions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """source: in words. data_sha256: of what was taken. left_out: sentence → how many exams."""

    exams: tuple[ScoredExam, ...]
    source: str
    data_sha256: str
    scale: str
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Period:
    """Study dates, YYYYMMDD, both included; "" leaves that end open."""

    since: str = ""
    until: str = ""

    def holds(self, study: Study) -> bool:
        """Whether the study is of this period."""
        date = study.study_date
        return (not self.since or date >= self.since) and (not self.until or (date != "" and date <= self.until))


def of_readings(held: Holdings, model: ServedModel, strategy: str, period: Period, most: int) -> Sample:
    """The latest reading of each of the newest `most` exams of the period that this model and strategy read."""
    left_out: Counter[str] = Counter()
    taken: list[tuple[ScoredExam, str]] = []
    for study, reading in _readings(held, period):
        if why := _unfit(reading, model, strategy):
            left_out[why] += 1
            continue
        stratum = Stratum(**reading["stratum"])
        taken.append(
            (ScoredExam(study.study_instance_uid, stratum, reading["score"], study.study_date), _scale(reading))
        )
        if len(taken) == most:
            break
    scale = taken[0][1] if taken else SCREENING
    exams = tuple(exam for exam, of in taken if of == scale)
    if len(exams) < len(taken):
        left_out["read with other options of the strategy"] += len(taken) - len(exams)
    lines = sorted(f"{exam.name} {exam.score!r} {exam.stratum}" for exam in exams)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    source = f"readings stored in this node{_told(period)}"
    return Sample(exams=exams, source=source, data_sha256=digest, scale=scale, left_out=left_out)


def _readings(held: Holdings, period: Period) -> Iterator[tuple[Study, Mapping[str, Any]]]:
    """Exams of the period with their latest readings, the newest study first."""
    read = [state for state in StudyState if state not in (StudyState.STORED, StudyState.HELD)]
    for study in sorted(held.index.studies(read), key=lambda each: each.study_date, reverse=True):
        stored = held.outbox.reading(study.study_instance_uid) if period.holds(study) else None
        if stored is not None:
            yield study, json.loads(stored.reading_json)


def _unfit(reading: Mapping[str, Any], model: ServedModel, strategy: str) -> str:
    """Why a reading tells nothing of its stratum's scores; "" when it does."""
    if reading["category"] == Category.NOT_READ:
        return _NOT_READ
    if reading["algorithm"]["weights_sha256"] != model.weights_sha256:
        return "read by another model"
    if reading["strategy"] != strategy:
        return "read with another strategy"
    if any(each["detail"] == SEVERAL_SYSTEMS for each in reading.get("cautions", [])):
        return SEVERAL_SYSTEMS
    return ""


def _scale(reading: Mapping[str, Any]) -> str:
    return str(reading.get("score_scale") or SCREENING)


def _told(period: Period) -> str:
    since = f" since {period.since}" if period.since else ""
    return since + (f" until {period.until}" if period.until else "")


def of_table(path: Path) -> Sample:
    """A CSV file with a row per exam: ai_score, manufacturer, manufacturer_model_name, software_versions.

    A cohort table (`ai.cohort`) is one: of its other columns exam_id, study_date and gate are looked at, the rest is
    not. Beside them there may be score_scale. Raises ConfigError with line, column and value.
    """
    try:
        content = path.read_bytes()
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error
    missing = [name for name in ("ai_score", *_STRATUM) if not rows or name not in rows[0]]
    if missing:
        raise ConfigError(f"{path}: the table has no column {', '.join(missing)}, or no row")
    read = [(line, row) for line, row in enumerate(rows, start=2) if (row.get("gate") or _READ) == _READ]
    scales = {row.get("score_scale") or SCREENING for _, row in read}
    if len(scales) > 1:
        raise ConfigError(f"{path}: column score_scale has {len(scales)} values; allowed: one")
    return Sample(
        exams=tuple(_row(path, line, row) for line, row in read),
        source=f"table {path.name}",
        data_sha256=hashlib.sha256(content).hexdigest(),
        scale=next(iter(scales), SCREENING),
        left_out={_NOT_READ: len(rows) - len(read)} if len(read) < len(rows) else {},
    )


def _row(path: Path, line: int, row: Mapping[str, str]) -> ScoredExam:
    try:
        score = float(row["ai_score"])
    except (TypeError, ValueError):
        score = math.nan
    if not 0.0 <= score <= 1.0:
        raise ConfigError(f"{path}, line {line}: ai_score: value '{row['ai_score']}' is not allowed; allowed: 0 to 1")
    stratum = Stratum(**{name: (row[name] or "").strip() for name in _STRATUM})
    date = (row.get("study_date") or "").replace("-", "")
    return ScoredExam(row.get("exam_id") or f"line {line}", stratum, score, date)


def chosen(exams: Iterable[ScoredExam], wanted: Iterable[str]) -> list[ScoredExam]:
    """The exams of strata whose text contains any of `wanted`; all without any."""
    parts = [each.casefold() for each in wanted]
    return [exam for exam in exams if not parts or any(part in str(exam.stratum).casefold() for part in parts)]
