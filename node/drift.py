"""Drift of live exams: each reading moves its stratum's charts, and an alarm suspends NEGATIVE there.

The charts are moved in the transaction that saves the reading, so that each exam counts once however often its job is
run. An exam counts at its first revision; a later one has the same woman's images again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from ai.calibration import ALL, OperatingPoints, ReferenceWindow, matched
from ai.findings import Category, Reading, Stratum
from ai.monitoring.design import Design, cells, design
from ai.monitoring.stream import MEANING, Stream
from ai.reasons import Caution, CautionCode
from node import logs
from node.errors import ConfigError
from node.in_force import InForce, in_force, stamp
from node.settings import ReadingSettings
from storage.database import Database
from storage.drift import Drift, DriftAction, DriftEvent, KeptStream

log = logs.get(__name__)

#: Charts on a window of fewer exams would notice nothing.
FEWEST = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """What a reading is to its stratum's charts; `charts` is None where there are none for it.

    cell: see `Stream.after`. counts: whether the exam has not been counted before.
    """

    stratum: Stratum
    charts: Design | None
    made_for: str
    cell: int | None
    counts: bool

    @property
    def key(self) -> str:
        """The stratum as it is kept."""
        return key(self.stratum)


def key(stratum: Stratum) -> str:
    """A stratum as drift is kept by: two spellings of one are the same."""
    return " / ".join(matched(stratum))


class Watch:
    """Looks at readings; what it keeps is in the tables."""

    def __init__(self, settings: ReadingSettings) -> None:
        self._settings = settings
        self._stamp: tuple[int, int] | None = None
        self._counts: InForce | None = None

    def about(self, reading: Reading) -> Watched | None:
        """Before the transaction that saves it: charts take a moment to be made. None for exams of no equipment."""
        if reading.stratum is None:
            return None
        found = self._window(reading, reading.stratum)
        counts = reading.revision == 1
        if found is None:
            return Watched(reading.stratum, None, "", None, counts)
        window, points = found
        cell = None if reading.percentile is None else int(cells(reading.percentile))
        made, made_for = charts(window.model_dump_json(), points.rule_out_percentile)
        return Watched(reading.stratum, made, made_for, cell, counts)

    def _window(self, reading: Reading, stratum: Stratum) -> tuple[ReferenceWindow, OperatingPoints] | None:
        """The window the reading was placed in, and its points; None where nothing is to be learnt from it."""
        counts = self._now()
        if counts is None or reading.calibration_version != counts.calibration.version:
            return None
        lenient = self._settings.negative_without_reference_population
        return reference(counts, stratum, lenient=lenient, borrowed=reading.is_borrowed)

    def _now(self) -> InForce | None:
        now = stamp(self._settings)
        if now != self._stamp or self._counts is None:
            try:
                self._counts, self._stamp = in_force(self._settings), now
            except ConfigError as error:
                log.error("drift is not watched", why=str(error))
                return None
        return self._counts


def reference(
    counts: InForce, stratum: Stratum, *, lenient: bool, borrowed: bool = False
) -> tuple[ReferenceWindow, OperatingPoints] | None:
    """What a stratum's exams should look like.

    None where they are never NEGATIVE, or where the window is of fewer than `FEWEST` exams.
    """
    name = None if borrowed else counts.calibration.window_of(stratum)
    if name is None and not lenient:
        return None
    window = counts.calibration.windows[name or ALL]
    own = counts.points.of(stratum) if name is not None else counts.points.default
    return (window, own) if window.exams >= FEWEST else None


@lru_cache(maxsize=64)
def charts(window: str, rule_out_percentile: float) -> tuple[Design, str]:
    """The charts for a window (as JSON), and what tells them from others."""
    made_for = hashlib.sha256(f"{window} {round(rule_out_percentile)}".encode()).hexdigest()
    return design(ReferenceWindow.model_validate_json(window), rule_out_percentile), made_for


def suspended(reading: Reading, database: Database) -> Reading:
    """The reading; INDETERMINATE instead of NEGATIVE, with the reason, while an alarm of its stratum stands."""
    if reading.category is not Category.NEGATIVE or reading.stratum is None:
        return reading
    alarms = Drift(database).standing(key(reading.stratum))
    if not alarms:
        return reading
    since = alarms[0].at.astimezone().strftime("%Y-%m-%d")
    caution = Caution(CautionCode.DRIFT_ALARM, detail=f"alarm since {since}")
    return replace(reading, category=Category.INDETERMINATE, cautions=(*reading.cautions, caution))


def moved(watched: Watched, reading: Reading, database: Database) -> list[DriftEvent]:
    """Move the charts by this exam, in `database`'s transaction; the alarms that it raised."""
    if not watched.counts:
        return []
    kept = Drift(database)
    before, now = kept.stream(watched.key), datetime.now(UTC)
    stream = stream_of(before, watched.charts, watched.made_for)
    if stream is not None:
        stream = stream.after(watched.cell)
    kept.keep(
        KeptStream(
            stratum=watched.key,
            **asdict(watched.stratum),
            exams=(before.exams if before is not None else 0) + 1,
            made_for=watched.made_for,
            state=stream.to_json() if stream is not None else "",
            changed_at=now,
        )
    )
    return _raised(watched, stream, reading, kept) if stream is not None else []


def stream_of(kept: KeptStream | None, made: Design | None, made_for: str) -> Stream | None:
    """Where a stratum's charts stand; at the beginning where they were made for another reference."""
    if made is None:
        return None
    if kept is None or kept.made_for != made_for:
        return Stream.begin(made)
    return Stream.from_json(kept.state, made)


def _raised(watched: Watched, stream: Stream, reading: Reading, kept: Drift) -> list[DriftEvent]:
    known = {event.chart for event in kept.standing(watched.key)}
    alarms = [event for event in _alarms(watched, stream, reading) if event.chart not in known]
    for event in alarms:
        kept.add(event)
        log.warning("drift alarm: NEGATIVE is suspended", stratum=event.name, chart=event.chart, seen=event.detail)
    return alarms


def _alarms(watched: Watched, stream: Stream, reading: Reading) -> Iterator[DriftEvent]:
    for each in stream.readings():
        if each.alarms:
            yield DriftEvent(
                at=datetime.now(UTC),
                action=DriftAction.RAISED,
                stratum=watched.key,
                name=str(watched.stratum),
                chart=each.chart,
                detail=f"{MEANING[each.chart]}; {stream.told()}",
                calibration_version=reading.calibration_version,
                study_instance_uid=reading.study_instance_uid,
            )


def clear(kept: Drift, part: str, *, by: str, reason: str) -> list[DriftEvent]:
    """Clear the alarms of the strata whose name contains `part`; the clearings. Raises ConfigError."""
    for option, value in (("--by", by), ("--reason", reason)):
        if not value.strip():
            raise ConfigError(f"{option}: value '{value}' is not allowed; allowed: words")
    wanted = [event for event in kept.standing() if part.casefold() in event.name.casefold()]
    if not wanted:
        raise ConfigError(f"no alarm stands for a stratum with '{part}' in it; see mammo-node drift alarms")
    names = {event.stratum: event.name for event in wanted}
    cleared = [
        DriftEvent(
            at=datetime.now(UTC),
            action=DriftAction.CLEARED,
            stratum=stratum,
            name=name,
            by=by.strip(),
            reason=reason.strip(),
        )
        for stratum, name in names.items()
    ]
    for event in cleared:
        kept.add(event)
    return cleared
