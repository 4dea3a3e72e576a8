"""One stratum's exams as they come: the charts of its window, and the share that is not read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict

from ai.monitoring import watch
from ai.monitoring.design import CELLS, MOVING, Design, Side, rejecting
from ai.monitoring.watch import State

#: Exams from which the usual share of unread exams is learnt, where no reference tells it.
BASELINE = 1000

#: What a chart's alarm means.
MEANING = {
    "location up": "scores are higher than those of the reference window",
    "location down": "scores are lower than those of the reference window",
    "ruled_out up": "more exams lie below the rule-out point than in the reference window",
    "ruled_out down": "fewer exams lie below the rule-out point than in the reference window",
    "top_10 up": "more exams lie in the top tenth than in the reference window",
    "top_10 down": "fewer exams lie in the top tenth than in the reference window",
    "top_3 up": "more exams lie in the top 3 % than in the reference window",
    "top_3 down": "fewer exams lie in the top 3 % than in the reference window",
    "ks": "the last exams' scores are spread otherwise than the reference window's (KS)",
    "psi": "the last exams' bands are filled otherwise than the reference window's (PSI)",
    "rejected up": "more exams are not read than before",
    "rejected down": "fewer exams are not read than before",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A chart after an exam. level: its value as a share of its limit; 1 or more is an alarm."""

    chart: str
    level: float

    @property
    def alarms(self) -> bool:
        """Whether it has passed its limit."""
        return self.level >= 1


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    exams: int
    sums: tuple[float, ...]
    recent: str
    offered: int
    unread: int
    rejecting: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stream:
    """offered, unread: exams that came and those not read among them, counted up to a baseline of `BASELINE`."""

    charts: Design
    state: State
    offered: int = 0
    unread: int = 0
    rejecting: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def begin(cls, charts: Design, offered: int = 0, unread: int = 0) -> Stream:
        """Before the first exam. offered, unread: of the reference, where it tells; then that is the baseline."""
        return cls(charts, State.of(charts), offered, unread)

    def after(self, cell: int | None) -> Stream:
        """The stream after one more exam. cell: the whole percent of its percentile, 0–99; None: it was not read."""
        stream = self._gated(cell is None)
        if cell is None:
            return stream
        return replace(stream, state=watch.step(self.charts, self.state, np.array([cell], np.uint8)))

    def readings(self) -> Iterator[Reading]:
        """Every chart's."""
        levels = watch.values(self.charts, self.state)[0]
        yield from (Reading(name, float(level)) for name, level in zip(watch.names(self.charts), levels, strict=True))
        if self.offered >= BASELINE:
            for side, value in zip(_gate(self.unread, self.offered), self.rejecting, strict=True):
                yield Reading(f"rejected {'up' if side.up else 'down'}", value / side.limit)

    def recent(self) -> tuple[int, ...]:
        """Cells of the last exams that were read, at most `MOVING`."""
        return tuple(map(int, self.state.recent[0, : min(self.state.exams, MOVING)]))

    def told(self) -> str:
        """The shares of the last exams, beside the reference's."""
        found, wanted = self.state.counts[0] / max(1, self.state.counts[0].sum()), self.charts.expected
        cut = self.charts.rule_out_cell
        below = f"below the rule-out point {_both(found[:cut], wanted[:cut])}"
        top = ", ".join(f"top {100 - at} % {_both(found[at:], wanted[at:])}" for at in (90, 97))
        return f"of the last {min(self.state.exams, MOVING)} exams, {below}, {top}"

    def to_json(self) -> str:
        """What must be kept; `from_json` goes on from there, with the same charts."""
        kept = _Kept(
            exams=self.state.exams,
            sums=tuple(map(float, self.state.sums[0])),
            recent=base64.b64encode(self.state.recent[0].tobytes()).decode(),
            offered=self.offered,
            unread=self.unread,
            rejecting=self.rejecting,
        )
        return kept.model_dump_json()

    @staticmethod
    def from_json(text: str, charts: Design) -> Stream:
        """Raises ValueError when it was kept for other charts."""
        kept = _Kept.model_validate_json(text)
        recent = np.frombuffer(base64.b64decode(kept.recent), np.uint8)
        if len(kept.sums) != len(charts.sides) or len(recent) != MOVING:
            raise ValueError("the state is of other charts")
        counts = np.bincount(recent[: min(kept.exams, MOVING)], minlength=CELLS).astype(np.int32)
        state = State(kept.exams, np.array([kept.sums]), recent[None, :], counts[None, :])
        return Stream(charts, state, kept.offered, kept.unread, kept.rejecting)

    def _gated(self, unread: bool) -> Stream:
        if self.offered < BASELINE:
            return replace(self, offered=self.offered + 1, unread=self.unread + unread)
        sides = zip(_gate(self.unread, self.offered), self.rejecting, strict=True)
        up, down = (max(0.0, value + float(side.increments[int(unread)])) for side, value in sides)
        return replace(self, rejecting=(up, down))


@lru_cache(maxsize=64)
def _gate(unread: int, offered: int) -> tuple[Side, Side]:
    return rejecting(unread, offered)


def _both(found: np.ndarray, wanted: np.ndarray) -> str:
    return f"{100 * found.sum():.1f} % (reference {100 * wanted.sum():.1f} %)"
