"""What each way of combining the AI with the readers would have done with the shadow's answers, not the live ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from ai.evaluation import exams as arrays
from ai.evaluation.comparison import Comparison, compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.exams import Cohort
from ai.evaluation.strategies import Variant
from node.cohort_export import exported
from node.errors import ConfigError
from node.holdings import Holdings
from node.pseudonyms import Pseudonyms
from storage.cohort import ReadExam


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReplay:
    """On the same exams, with the same readers and outcomes: once with the live answers, once with the shadow's.

    left_out: why exams with a shadow reading are not among them → how many.
    """

    shadow: str
    live: Comparison
    other: Comparison
    left_out: Mapping[str, int]


def replay(
    held: Holdings, pseudonyms: Pseudonyms, variants: Sequence[Variant], *, draws: int = 0, seed: int = 1
) -> ShadowReplay:
    """Of the shadow that read last. draws, seed: as `compare`.

    Raises ConfigError where nothing was read in the shadow, or the readers' decisions and outcomes are not known.
    """
    shadow, readings = held.shadows.latest()
    if not shadow:
        raise ConfigError("no exam was read in the shadow; see shadow in the settings")

    def live() -> Iterator[ReadExam]:
        return (each for each in held.cohort.read_exams() if each.study_instance_uid in readings)

    def other() -> Iterator[ReadExam]:
        return (replace(each, reading_json=readings[each.study_instance_uid]) for each in live())

    tables = [exported(held, pseudonyms, read) for read in (live, other)]
    common = set(tables[0].table["exam_id"]) & set(tables[1].table["exam_id"])
    left_out = Counter(tables[0].left_out) | Counter(tables[1].left_out)
    cohorts = [_usable(each.table.filter(each.table["exam_id"].is_in(list(common)))) for each in tables]
    for column, count in cohorts[0].left_out.items():
        left_out[f"without {column}"] = count
    compared = [compare(each.exams, variants, Assumptions(), draws=draws, seed=seed) for each in cohorts]
    return ShadowReplay(shadow=shadow, live=compared[0], other=compared[1], left_out=left_out)


def _usable(table: pl.DataFrame) -> Cohort:
    if missing := arrays.missing_columns(table):
        raise ConfigError(
            f"of no exam that was read in the shadow {', '.join(missing)} is known: mammo-node cohort import, outcomes"
        )
    try:
        return arrays.exams(table)
    except ValueError as error:
        raise ConfigError(f"{error}: mammo-node cohort import, outcomes") from error
