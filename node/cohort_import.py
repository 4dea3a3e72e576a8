"""Readers' decisions, consensus and outcomes from a file into the node's own records.

A row an exam, named by its Study Instance UID (exam_id) or its Accession Number; any of the cohort table's columns of
that kind. What a file leaves empty stays as it was told before, so decisions may come in one file and outcomes, years
later, in another. A file is taken whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from ai import cohort
from ai.cohort import COLUMNS, CohortError, Column, Fault, Text
from node.errors import ConfigError
from node.holdings import Holdings
from storage.cohort import CohortFacts, CohortImport, ExamFacts, TakenFile

_FACTS = tuple(each.name for each in fields(ExamFacts) if each.name != "study_instance_uid")
_KEYS: Mapping[str, Column] = {
    "exam_id": Column(Text(), "the exam's Study Instance UID"),
    "accession_number": Column(Text(), "its Accession Number, where that is of one study"),
}
#: Every column such a file may have.
FACT_COLUMNS: Mapping[str, Column] = {**_KEYS, **{name: COLUMNS[name] for name in COLUMNS if name in _FACTS}}


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    study_instance_uid: str
    told: Mapping[str, Any]


def taken(held: Holdings, path: Path, *, skip_unknown: bool) -> CohortImport:
    """Take in the file. skip_unknown: leave out rows of exams that the node does not hold, rather than refuse it.

    Raises ConfigError with every bad row's line, column, value and what is allowed there.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        table = cohort.read_as(path, FACT_COLUMNS)
        _check_file(path, table)
        rows, unknown = _known(held.cohort, table)
        if unknown and not skip_unknown:
            raise CohortError(path, unknown, "exams that the node does not hold; --skip-unknown leaves them out:")
        return _keep(held.cohort, path, digest, (rows, len(unknown)))
    except (CohortError, OSError) as error:
        raise ConfigError(str(error)) from error


def _keep(facts: CohortFacts, path: Path, digest: str, found: tuple[Sequence[_Row], int]) -> CohortImport:
    rows, skipped = found
    before = facts.facts(row.study_instance_uid for row in rows)
    after = [_merged(before.get(row.study_instance_uid), row) for row in rows]
    if faults := list(_faults(rows, after)):
        raise CohortError(path, faults, "together with what was told before:" if before else "")
    return facts.take(TakenFile(path.name, digest, len(rows) + skipped, skipped), before, after)


def _check_file(path: Path, table: pl.DataFrame) -> None:
    keys = [name for name in _KEYS if name in table.columns]
    if not keys:
        raise CohortError(path, (), f"a column {' or '.join(_KEYS)} is needed")
    if not any(name in table.columns for name in _FACTS):
        raise CohortError(path, (), f"the file tells nothing; allowed columns: {', '.join(_FACTS)}")
    nameless = table.with_row_index("row").filter(pl.all_horizontal(pl.col(keys).is_null()))
    faults = [Fault(row + 2, keys[0], "", f"a value in {' or '.join(_KEYS)}") for row in nameless["row"]]
    if faults:
        raise CohortError(path, faults)


def _known(facts: CohortFacts, table: pl.DataFrame) -> tuple[list[_Row], list[Fault]]:
    """Rows of exams that the node holds, and a fault for each other."""
    rows = list(table.iter_rows(named=True))
    held = facts.held({row["exam_id"] for row in rows if row.get("exam_id")})
    by_number = facts.by_accession({row["accession_number"] for row in rows if not row.get("exam_id")})
    known, faults = [], []
    for line, row in enumerate(rows, start=2):
        name = "exam_id" if row.get("exam_id") else "accession_number"
        studies = [row[name]] if name == "exam_id" and row[name] in held else by_number.get(row[name], [])
        if len(studies) == 1:
            told = {key: value for key, value in row.items() if key in _FACTS and value is not None}
            known.append(_Row(line, studies[0], told))
        else:
            faults.append(Fault(line, name, row[name], "that of one study which the node holds"))
    return known, faults


def _merged(before: ExamFacts | None, row: _Row) -> ExamFacts:
    """What is known then; a reader's score is that of her breasts where only these are told."""
    facts = replace(before or ExamFacts(study_instance_uid=row.study_instance_uid), **row.told)
    for reader in ("r1", "r2"):
        sides = [getattr(facts, f"{reader}_right"), getattr(facts, f"{reader}_left")]
        if reader not in row.told and None not in sides:
            facts = replace(facts, **{reader: max(sides)})
    return facts


def _faults(rows: Sequence[_Row], after: Sequence[ExamFacts]) -> Iterator[Fault]:
    """Exams told of twice, and facts that cannot be true together."""
    seen: set[str] = set()
    for row in rows:
        if row.study_instance_uid in seen:
            yield Fault(row.line, "exam_id", row.study_instance_uid, "an exam that no other row tells of")
        seen.add(row.study_instance_uid)
    schema = {name: COLUMNS[name].kind.dtype for name in _FACTS}
    table = pl.DataFrame([{name: asdict(each)[name] for name in _FACTS} for each in after], schema=schema)
    for fault in cohort.reader_contradictions(table):
        yield replace(fault, line=rows[fault.line - 2].line)
