"""The node's own readings joined with what the readers decided and what became of each woman: a cohort table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from ai.cohort import COLUMNS, READ
from ai.findings import Category
from node.holdings import Holdings
from node.pseudonyms import Pseudonyms
from storage.cohort import ExamFacts, ReadExam

_SIDES = {"R": "right", "L": "left"}


@dataclass(frozen=True, slots=True)
class Exported:
    """The table; why exams are not in it (sentence → how many); and whose scores it holds."""

    table: pl.DataFrame
    left_out: Mapping[str, int]
    model: str


def exported(held: Holdings, pseudonyms: Pseudonyms, read: Callable[[], Iterable[ReadExam]] | None = None) -> Exported:
    """Every answered exam, by woman and round. Scores are of one model: that of the newest reading.

    read: gives the exams, by patient and date, where they are not those that count.
    """
    read = read or held.cohort.read_exams
    facts = held.cohort.facts()
    left_out: Counter[str] = Counter()
    scale = _scale(read())
    rows = list(_rows(read(), pseudonyms, scale, left_out))
    rows = [row | _told(facts.get(row["exam_id"])) for row in rows]
    schema = {name: column.kind.dtype for name, column in COLUMNS.items()}
    # by pseudonym: the order of identity numbers would tell of them
    table = pl.DataFrame(rows, schema=schema).sort("woman_id", "round")
    # a column that says nothing of any exam is left away
    return Exported(table[[each.name for each in table if each.null_count() < table.height]], left_out, scale.model)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What makes scores comparable: the weights and the strategy's scale. model: for a person, of those weights."""

    weights_sha256: str
    score_scale: str
    model: str = field(compare=False)

    @classmethod
    def of(cls, reading: Mapping[str, Any]) -> _Scale:
        algorithm = reading["algorithm"]
        model = f"{algorithm['name']} {algorithm['version']}, weights {algorithm['weights_sha256'][:16]}"
        return cls(algorithm["weights_sha256"], reading.get("score_scale") or "", model)


def _scale(exams: Iterable[ReadExam]) -> _Scale:
    newest, scale = "", _Scale("", "", "none")
    for exam in exams:
        reading = json.loads(exam.reading_json)
        if reading["category"] != Category.NOT_READ and reading["started_at"] >= newest:
            newest, scale = reading["started_at"], _Scale.of(reading)
    return scale


def _rows(
    exams: Iterable[ReadExam], pseudonyms: Pseudonyms, scale: _Scale, left_out: Counter[str]
) -> Iterator[dict[str, Any]]:
    before: dict[str, Any] = {}
    for exam in exams:
        reading = json.loads(exam.reading_json)
        woman, day = _woman(exam, pseudonyms), _day(exam.study_date)
        if before.get("woman_id") != woman:
            before = {}
        if why := _unfit(reading, day, scale, before):
            left_out[why] += 1
            continue
        row = {"exam_id": exam.study_instance_uid, "woman_id": woman, "study_date": day}
        row |= {"round": before.get("round", 0) + 1, **_scores(reading), **_prior(reading, before)}
        before = row
        yield row


def _unfit(reading: Mapping[str, Any], day: date | None, scale: _Scale, before: Mapping[str, Any]) -> str:
    """Why an exam is not in the table; "" when it is."""
    if day is None:
        return "without a study date"
    if reading["category"] != Category.NOT_READ and _Scale.of(reading) != scale:
        return "read by another model or strategy"
    if before.get("study_date") == day:
        return "another exam of the same woman and day"
    return ""


def _woman(exam: ReadExam, pseudonyms: Pseudonyms) -> str:
    if not exam.patient_id:
        return pseudonyms.of_study(exam.study_instance_uid)
    return pseudonyms.of(exam.patient_id, exam.issuer_of_patient_id)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _scores(reading: Mapping[str, Any]) -> dict[str, Any]:
    system = reading.get("stratum") or {}
    told = {name: system.get(name) or None for name in ("manufacturer", "manufacturer_model_name", "software_versions")}
    if reading["category"] == Category.NOT_READ:
        reasons = reading["reasons"]
        return told | {"gate": reasons[0]["code"] if reasons else str(Category.NOT_READ)}
    breasts = {f"ai_score_{_SIDES[each['image_laterality']]}": each["probability"] for each in reading["breasts"]}
    return told | {"gate": READ, "ai_score": reading["score"], **breasts}


def _prior(reading: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The prior's scores: as this reading saw them, else as that exam's own reading gave them."""
    seen = reading.get("prior") or {}
    if seen.get("score") is not None:
        breasts = {f"prior_ai_score_{_SIDES[b['image_laterality']]}": b["prior_probability"] for b in seen["breasts"]}
        return {"prior_ai_score": seen["score"], **breasts}
    return {f"prior_{name}": value for name, value in before.items() if name.startswith("ai_score")}


def _told(facts: ExamFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    return {name: value for name, value in asdict(facts).items() if name in COLUMNS and value is not None}
