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
_LINE, _LETTER, _DOT = 13, 6.4, 5  # px: a label's height, a letter's width, half a dot with its margin


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


@dataclass(frozen=True, slots=True)
class _Box:
    """Pixels that something covers."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)

    @property
    def on_the_picture(self) -> bool:
        return self.left > _EDGE and self.right < _WIDTH and self.top > 0 and self.bottom < _HEIGHT - _EDGE


def _marks(points: Sequence[_Point], across: _Axis, up: _Axis) -> list[str]:
    """Double reading, the first of the points, lies above the others."""
    drawn = [(across.at(each.x), *(up.at(y) for y in (each.low, each.mid, each.high))) for each in points]
    taken = [_Box(x - _DOT, mid - _DOT, x + _DOT, mid + _DOT) for x, _, mid, _ in drawn]
    bars = [_Box(x - 1, high, x + 1, low) for x, low, _, high in drawn if low > high]
    marks: list[str] = []
    for place, (point, (x, low, mid, high)) in enumerate(zip(points, drawn, strict=True)):
        colour = "#c2410c" if place == 0 else "#1d4ed8"  # double reading first
        label = _free(x, mid, len(point.label) * _LETTER, taken, bars)
        taken.append(label)
        marks.append(
            f"<g><title>{escape(point.name)}: {escape(point.rule)}</title>"
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-opacity=".45" '
            f'stroke-width="2"/><circle cx="{x:.1f}" cy="{mid:.1f}" r="4" fill="{colour}"/>{_leader(x, mid, label)}'
            f'<text x="{label.left:.1f}" y="{label.bottom - 3:.1f}" fill="{colour}">{escape(point.label)}</text></g>'
        )
    return [*marks[1:], marks[0]]


def _free(x: float, y: float, width: float, taken: Sequence[_Box], bars: Sequence[_Box]) -> _Box:
    """Where a label near its dot covers no dot, label or bar; a bar, where there is no such place."""
    near = [
        _Box(left, middle - _LINE / 2, left + width, middle + _LINE / 2)
        for away in range(24)
        for along in (0, 14, 34)
        for middle in (y + away * _LINE / 2, y - away * _LINE / 2)
        for left in (x + 7 + along, x - 7 - along - width)
    ]
    free = [each for each in near if each.on_the_picture and not any(each.meets(other) for other in taken)]
    clear = (each for each in free if not any(each.meets(bar) for bar in bars))
    return next(clear, free[0] if free else near[0])


def _leader(x: float, y: float, label: _Box) -> str:
    """A thin line from the dot to a label that does not stand right beside it."""
    end = label.left - 1 if label.left > x else label.right + 1
    middle = (label.top + label.bottom) / 2
    if abs(end - x) < _LINE and abs(middle - y) < _LINE:
        return ""
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{middle:.1f}" stroke="#999" stroke-width=".7"/>'
