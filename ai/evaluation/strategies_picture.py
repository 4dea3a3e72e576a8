"""Strategies as workload against detection: an SVG of text and lines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ai.evaluation.comparison import Comparison, Result

_WIDTH, _HEIGHT, _EDGE = 980, 520, 56
_LINE, _LETTER = 13, 6.2  # px of a label


@dataclass(frozen=True, slots=True)
class _Point:
    """x: workload; low, mid, high: detected of 1,000. label: the name without words."""

    name: str
    label: str
    rule: str
    x: float
    low: float
    mid: float
    high: float

    @classmethod
    def of(cls, result: Result) -> _Point:
        values = [result.metrics[f"detected_per_1000_{way}"].value or 0.0 for way in ("lo", "mid", "hi")]
        label = re.sub(r"\w+=", "", result.name)
        return cls(result.name, label, result.rule, result.metrics["workload"].value or 0.0, *values)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values from low to high, drawn from pixel start to stop."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        step = 10 ** np.floor(np.log10(self.high - self.low))
        step = next(each for each in (step, step / 2, step / 5) if (self.high - self.low) / each >= 4)
        return [step * each for each in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def picture(found: Comparison) -> str:
    """Workload (reads and meetings) to the right, cancers detected upwards: from lo to hi a line, mid a dot."""
    points = [_Point.of(result) for result in found.results]
    across = _axis([each.x for each in points], _EDGE, _WIDTH - 130)
    up = _axis([y for each in points for y in (each.low, each.high)], _HEIGHT - _EDGE, 16)
    drawn = "".join([*_grid(across, up), *_marks(points, across, up)])
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="11" font-family="system-ui,sans-serif">'
        f"<title>Workload against detection, {escape(found.stratum)}</title>{drawn}</svg>"
    )


def _axis(values: Sequence[float], start: float, stop: float) -> _Axis:
    margin = (max(values) - min(values)) * 0.05 or 0.5
    return _Axis(min(values) - margin, max(values) + margin, start, stop)


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for tick in across.ticks():
        x = across.at(tick)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up.start}" y2="{up.stop}" stroke="#e4e4e4"/>'
        yield f'<text x="{x:.1f}" y="{up.start + 16}" text-anchor="middle" fill="#555">{tick:g}</text>'
    for tick in up.ticks():
        y = up.at(tick)
        yield f'<line x1="{across.start}" x2="{across.stop}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{across.start - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{tick:g}</text>'
    middle = (up.start + up.stop) / 2
    yield f'<text x="{across.stop}" y="{up.start + 36}" text-anchor="end">workload: reads and meetings, an exam</text>'
    yield f'<text transform="translate(14,{middle}) rotate(-90)" text-anchor="middle">cancers detected of 1,000</text>'


def _marks(points: Sequence[_Point], across: _Axis, up: _Axis) -> Iterator[str]:
    taken: list[tuple[float, float, float]] = []
    for place, point in enumerate(points):
        x, low, mid, high = across.at(point.x), up.at(point.low), up.at(point.mid), up.at(point.high)
        colour = "#c2410c" if place == 0 else "#1d4ed8"  # double reading first
        label = _free(x + 7, mid + 4, len(point.label) * _LETTER, taken)
        yield (
            f"<g><title>{escape(point.name)}: {escape(point.rule)}</title>"
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-opacity=".45" '
            f'stroke-width="2"/><circle cx="{x:.1f}" cy="{mid:.1f}" r="4" fill="{colour}"/>'
            f'<text x="{x + 7:.1f}" y="{label:.1f}" fill="{colour}">{escape(point.label)}</text></g>'
        )


def _free(x: float, y: float, width: float, taken: list[tuple[float, float, float]]) -> float:
    """Where a label as near to y as can be covers no other; it is taken then."""
    steps = (sign * step * _LINE / 2 for step in range(40) for sign in (1, -1))
    free = next(
        y + step
        for step in steps
        if all(abs(y + step - row) >= _LINE or x > stop or x + width < start for start, stop, row in taken)
    )
    taken.append((x, x + width, free))
    return free
