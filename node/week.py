"""A week of the node in numbers: what was read and how, what was not, alarms, how long it took."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ai.findings import Category
from ai.reasons import ReasonCode
from node.errors import BadQuery
from storage.cohort import CohortFacts
from storage.database import Database
from storage.drift import Drift, DriftAction, DriftEvent
from storage.weeks import ReadExam, Weeks

#: Reader scores from here on are positive.
_POSITIVE = 2
_WEEK = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumWeek:
    """Exams of one system. ruled_out, flagged: shares of those that were read, 0–1; None when none was."""

    stratum: str
    exams: int
    not_read: int
    ruled_out: float | None
    flagged: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: the middle exam's, and what 95 % of them took at most; None when there is none."""

    median_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class NotReadLine:
    """A reason why exams were not read; one exam may have several."""

    code: str
    sentence: str
    exams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Where people decided otherwise than the AI, of the exams whose decision is known here.

    ai_visible: of those, where the readers saw the AI's result; None where that was not told of any.
    negative_marked, negative_recalled: NEGATIVE, and a reader scored 2 or more, or the woman was recalled.
    suspicious_not_recalled: SUSPICIOUS, and she was not.
    """

    decided: int
    ai_visible: int | None
    negative_marked: int
    negative_recalled: int
    suspicious_not_recalled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """week: ISO 8601, as 2026-W48; since, until: its first moment and the one after its last, in local time.

    exams: by their latest reading, when that was saved. bands: exams in band 1–10. alarms: raised or cleared in the
    week; standing: now. overrides: from the readers' decisions that were imported (`mammo-node cohort import`).
    """

    week: str
    since: datetime
    until: datetime
    exams: int
    categories: Mapping[str, int]
    bands: tuple[int, ...]
    ruled_out: float | None
    strata: tuple[StratumWeek, ...]
    not_read: tuple[NotReadLine, ...]
    alarms: tuple[DriftEvent, ...]
    standing: tuple[DriftEvent, ...]
    overrides: Overrides
    to_reading: Spent
    to_last_result: Spent


def week_of(named: str | None, now: datetime) -> tuple[str, datetime, datetime]:
    """The week's name, its first moment and the one after its last, local time; without a name, the one of `now`.

    Raises BadQuery for what is no week.
    """
    local = now.astimezone()
    year, number = local.isocalendar()[:2]
    if named is not None:
        found = _WEEK.fullmatch(named)
        try:
            year, number = (int(found[1]), int(found[2])) if found else (0, 0)
            datetime.fromisocalendar(year, number, 1)
        except ValueError as error:
            raise BadQuery(f"week: value '{named}' is not allowed; allowed: an ISO week, as 2026-W48") from error
    monday = datetime.fromisocalendar(year, number, 1)
    # midnight by the clock on the wall, also in the weeks in which that clock is put on or back
    return f"{year}-W{number:02d}", monday.astimezone(), (monday + timedelta(days=7)).astimezone()


def week(database: Database, named: str | None, now: datetime) -> Week:
    """The week. Raises BadQuery."""
    name, since, until = week_of(named, now)
    weeks, drift = Weeks(database), Drift(database)
    exams = weeks.exams(since, until)
    bands = Counter(each.band for each in exams)
    return Week(
        week=name,
        since=since,
        until=until,
        exams=len(exams),
        categories={str(each): sum(exam.category == each for exam in exams) for each in Category},
        bands=tuple(bands[number] for number in range(1, 11)),
        ruled_out=_share(exams, Category.NEGATIVE),
        strata=tuple(_strata(exams)),
        not_read=tuple(
            NotReadLine(code, _sentence(code), count) for code, count in weeks.not_read(since, until).items()
        ),
        alarms=tuple(each for each in drift.events() if since <= each.at < until),
        standing=tuple(drift.standing()),
        overrides=_overrides(exams, CohortFacts(database)),
        to_reading=_spent(each.read_s for each in exams),
        to_last_result=_spent(each.answered_s for each in exams if each.answered_s is not None),
    )


def told(event: DriftEvent) -> str:
    """An alarm, or its clearing, in a line."""
    what = f"cleared by {event.by}: {event.reason}" if event.action is DriftAction.CLEARED else event.detail
    return f"{event.name}: {what}"


def _overrides(exams: Sequence[ReadExam], kept: CohortFacts) -> Overrides:
    facts = kept.facts(each.study_instance_uid for each in exams)
    categories = {each.study_instance_uid: each.category for each in exams}
    decided = [each for each in facts.values() if (each.r1, each.r2, each.recalled) != (None, None, None)]
    negative = [each for each in decided if categories[each.study_instance_uid] == Category.NEGATIVE]
    suspicious = [each for each in decided if categories[each.study_instance_uid] == Category.SUSPICIOUS]
    visible = [each.ai_visible for each in decided if each.ai_visible is not None]
    return Overrides(
        decided=len(decided),
        ai_visible=sum(visible) if visible else None,
        negative_marked=sum(max(each.r1 or 0, each.r2 or 0) >= _POSITIVE for each in negative),
        negative_recalled=sum(each.recalled is True for each in negative),
        suspicious_not_recalled=sum(each.recalled is False for each in suspicious),
    )


def _share(exams: Sequence[ReadExam], category: Category) -> float | None:
    read = [each for each in exams if each.category != Category.NOT_READ]
    return sum(each.category == category for each in read) / len(read) if read else None


def _strata(exams: Sequence[ReadExam]) -> Iterable[StratumWeek]:
    counts = Counter(each.stratum for each in exams)
    for stratum, count in counts.most_common():
        mine = [each for each in exams if each.stratum == stratum]
        yield StratumWeek(
            stratum=stratum or "equipment not known",
            exams=count,
            not_read=sum(each.category == Category.NOT_READ for each in mine),
            ruled_out=_share(mine, Category.NEGATIVE),
            flagged=_share(mine, Category.SUSPICIOUS),
        )


def _sentence(code: str) -> str:
    return ReasonCode(code).sentence if code in ReasonCode.__members__ else ""


def _spent(seconds: Iterable[float]) -> Spent:
    found = list(seconds)
    if not found:
        return Spent(None, None)
    return Spent(float(np.median(found)), float(np.quantile(found, 0.95)))
