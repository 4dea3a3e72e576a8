"""Outcomes of exams from a cancer registry's file: a row a diagnosis, known by the woman and not by the exam.

The file must hold every breast cancer of the node's women up to a date, `followed_until`. Then each exam's outcome is

    SDC   the woman was recalled, and diagnosed within `assessment_days`
    IC    she was diagnosed before her next exam here and within `interval_days`, and it was not SDC
    NEXT  neither, and her next exam, within `interval_days` and `assessment_days` more, is SDC
    NONE  none of these, and `followed_until` is at least `interval_days` after the exam

and of all other exams nothing is told yet. The node keeps the outcome and the side; the file's Patient IDs are used to
find the exams and are kept and shown nowhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl

from ai import cohort
from ai.cohort import COLUMNS, CohortError, Column, Day, Fault, Outcome, Text
from node.errors import ConfigError
from node.holdings import Holdings
from storage.cohort import AnsweredExam, CohortImport, ExamFacts, TakenFile

#: The columns of a registry's file.
COLUMNS_OF_REGISTRY: Mapping[str, Column] = {
    "patient_id": Column(Text(), "Patient ID (0010,0020) of the woman", True),
    "issuer_of_patient_id": Column(Text(), "its issuer (0010,0021), where the node holds several"),
    "diagnosis_date": Column(Day(allowed="a date, YYYY-MM-DD"), "of a breast cancer", True),
    "cancer_side": replace(COLUMNS["cancer_side"], required=False),
}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Until when the registry knows of every cancer, and what belongs to an exam. Days."""

    followed_until: date
    interval_days: int = 730
    assessment_days: int = 180


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A breast cancer of a woman. side: R, L, B or None."""

    on: date
    side: str | None


@dataclass(frozen=True, slots=True)
class Linked:
    """What the file told. outcomes: outcome → exams. untold: exams of which nothing can be told yet, by reason."""

    taken: CohortImport
    outcomes: Mapping[str, int]
    untold: Mapping[str, int]


def linked(held: Holdings, path: Path, follow_up: FollowUp) -> Linked:
    """Take in a registry's file. Raises ConfigError with every bad row's line, column and what is allowed."""
    exams = held.cohort.answered_exams()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        table = cohort.read_as(path, COLUMNS_OF_REGISTRY)
        diagnoses = _diagnoses(path, table, exams)
    except (CohortError, OSError) as error:
        raise ConfigError(str(error)) from error
    before, untold = held.cohort.facts(), Counter[str]()
    after = list(_facts(exams, diagnoses, before, (follow_up, untold)))
    skipped = table.height - sum(len(each) for each in diagnoses.values())
    done = held.cohort.take(TakenFile(path.name, digest, table.height, skipped), before, after)
    return Linked(done, Counter(str(each.outcome) for each in after), untold)


_Woman = tuple[str, str]  # Patient ID and issuer


def _diagnoses(path: Path, table: pl.DataFrame, exams: Sequence[AnsweredExam]) -> Mapping[_Woman, list[Diagnosis]]:
    """Diagnoses of the node's women, the earliest first."""
    issuers: dict[str, set[str]] = {}
    for exam in exams:
        issuers.setdefault(exam.patient_id, set()).add(exam.issuer_of_patient_id)
    found: dict[_Woman, list[Diagnosis]] = {}
    faults = []
    for line, row in enumerate(table.iter_rows(named=True), start=2):
        known, issuer = issuers.get(row["patient_id"], set()), row.get("issuer_of_patient_id")
        if issuer is None and len(known) > 1:
            faults.append(Fault(line, "issuer_of_patient_id", "", "an issuer, for the node holds several of this ID"))
        mine = known if issuer is None else known & {issuer}
        for each in mine:
            diagnosis = Diagnosis(row["diagnosis_date"], row.get("cancer_side"))
            found.setdefault((row["patient_id"], each), []).append(diagnosis)
    if faults:
        raise CohortError(path, faults)
    return {woman: sorted(each, key=lambda one: one.on) for woman, each in found.items()}


def _facts(
    exams: Sequence[AnsweredExam],
    diagnoses: Mapping[_Woman, Sequence[Diagnosis]],
    before: Mapping[str, ExamFacts],
    how: tuple[FollowUp, Counter[str]],
) -> Iterator[ExamFacts]:
    """Each exam's facts with its outcome, where that can be told; counts the others by reason."""
    follow_up, untold = how
    dated = [(exam, day) for exam in exams if (day := _day(exam.study_date)) is not None]
    if len(dated) < len(exams):
        untold["without a study date"] += len(exams) - len(dated)
    for woman, group in groupby(dated, key=lambda each: (each[0].patient_id, each[0].issuer_of_patient_id)):
        if not woman[0]:
            untold["without a Patient ID"] += len(list(group))
            continue
        later: tuple[date, str] | None = None
        for exam, day in reversed(list(group)):
            facts = before.get(exam.study_instance_uid, ExamFacts(study_instance_uid=exam.study_instance_uid))
            outcome, side = _outcome(day, facts.recalled, (diagnoses.get(woman, ()), later), follow_up)
            later = (day, outcome)
            if outcome in list(Outcome):
                yield replace(facts, outcome=str(outcome), cancer_side=side)
            else:
                untold[outcome] += 1


def _outcome(
    day: date, recalled: bool | None, around: tuple[Sequence[Diagnosis], tuple[date, str] | None], follow_up: FollowUp
) -> tuple[str, str | None]:
    """The outcome and its side; or why it cannot be told. around: her diagnoses; her next exam's."""
    diagnoses, later = around
    interval, assessment = (timedelta(days=each) for each in (follow_up.interval_days, follow_up.assessment_days))
    first = next((each for each in diagnoses if each.on >= day), None)
    if first is not None and first.on <= day + interval and (later is None or first.on < later[0]):
        soon = first.on <= day + assessment
        if soon and recalled is None:
            return "diagnosed soon after, and whether she was recalled is not told", None
        return (Outcome.SDC if soon and recalled else Outcome.IC), first.side
    if first is not None and later is not None and later[0] <= day + interval + assessment and later[1] == Outcome.SDC:
        return Outcome.NEXT, first.side
    if follow_up.followed_until < day + interval:
        return "not followed for long enough", None
    return Outcome.NONE, None


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
