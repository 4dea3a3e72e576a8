"""Where every stratum stands: its charts, its alarms, and why some have no charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ai.calibration import matched
from ai.findings import Stratum
from ai.monitoring.stream import Reading as ChartReading
from ai.monitoring.stream import Stream
from node import drift
from node.holdings import Holdings
from node.in_force import InForce, in_force
from node.settings import ReadingSettings
from storage.drift import DriftEvent, KeptStream

_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumNow:
    """exams: that came, ever. highest: the charts nearest to their limits, as shares of them.

    told: the shares of the last exams. note: why there are no charts, or what to know of them.
    """

    name: str
    exams: int
    told: str
    highest: tuple[tuple[str, float], ...]
    alarms: tuple[DriftEvent, ...]
    note: str


def strata(held: Holdings, settings: ReadingSettings) -> list[StratumNow]:
    """Every stratum that exams have come from, those with alarms first. Raises ConfigError."""
    counts, standing = in_force(settings), held.drift.standing()
    found = [_stratum(settings, counts, kept, standing) for kept in held.drift.streams()]
    return sorted(found, key=lambda each: (not each.alarms, each.name))


def _stratum(settings: ReadingSettings, counts: InForce, kept: KeptStream, standing: list[DriftEvent]) -> StratumNow:
    stratum = Stratum(
        manufacturer=kept.manufacturer,
        manufacturer_model_name=kept.manufacturer_model_name,
        software_versions=kept.software_versions,
    )
    stream = _stream(settings, counts, stratum, kept)
    readings = sorted(stream.readings(), key=lambda each: -each.level)[:_TOLD] if stream else []
    return StratumNow(
        name=str(stratum),
        exams=kept.exams,
        told=stream.told() if stream and stream.state.exams else "",
        highest=tuple(_nearest(readings)),
        alarms=tuple(event for event in standing if event.stratum == kept.stratum),
        note=_note(counts, settings, stratum),
    )


def _stream(settings: ReadingSettings, counts: InForce, stratum: Stratum, kept: KeptStream) -> Stream | None:
    found = drift.reference(counts, stratum, lenient=settings.negative_without_reference_population)
    if found is None:
        return None
    made, made_for = drift.charts(found[0].model_dump_json(), found[1].rule_out_percentile)
    return drift.stream_of(kept, made, made_for)


def _nearest(readings: list[ChartReading]) -> Iterator[tuple[str, float]]:
    for each in readings:
        yield each.chart, each.level


def _note(counts: InForce, settings: ReadingSettings, stratum: Stratum) -> str:
    windows = counts.calibration.windows
    name = counts.calibration.window_of(stratum)
    if name is not None:
        exams = windows[name].exams
        few = exams < drift.FEWEST
        return f"its window is of {exams} exams, too few for charts: calibrate" if few else ""
    system = matched(stratum)[:2]
    before = [str(each) for window in windows.values() for each in window.strata if matched(each)[:2] == system]
    borrowed = settings.negative_without_reference_population
    so = "judged by borrowed thresholds" if borrowed else "nothing of it is NEGATIVE"
    if before:
        return f"its software changed: the windows are of {', '.join(before)}; {so} until it is calibrated"
    return f"it has no reference window; {so} until it is calibrated"
