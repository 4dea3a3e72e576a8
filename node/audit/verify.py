"""Is the trail what was written? Every record against its own sha256, the record before it, and the head."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from node.audit.trail import NOWHERE, Place, Record, Trail, parsed


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, without its end. number: from 1. ended: whether it has one. record: None where it is none."""

    file: str
    number: int
    content: bytes
    ended: bool
    record: Record | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something at a line. record: the number of the record it is about. line: 0 where it is about no line."""

    record: int
    file: str
    line: int
    why: str


@dataclass(slots=True)
class Verdict:
    """first, last: the records at the ends. torn: fragments of crashes, each named by the record after it."""

    records: int = 0
    first: Place | None = None
    last: Place | None = None
    torn: list[Finding] = field(default_factory=list)
    faults: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every record is as it was written, and none is missing."""
        return not self.faults


def verify(trail: Trail, *, first: int = 1) -> Verdict:
    """Look at everything there is. first: number of the oldest record that has to be there."""
    head, files = trail.snapshot()
    found = Verdict()
    walk = _Walk(found, head, first)
    line: Line | None = None
    for following in _lines(files):
        if line is not None:
            walk.step(line, following)
        line = following
    if line is not None:
        walk.step(line, None)
    walk.end(line)
    return found


def records(trail: Trail) -> Iterator[Record]:
    """Every record that is as it was written, oldest first."""
    _, files = trail.snapshot()
    yield from (line.record for line in _lines(files) if line.record is not None)


class _Walk:
    """From line to line. _before: the record that the next one has to follow; its sha256 is "?" where unknown."""

    def __init__(self, found: Verdict, head: Place | None, first: int) -> None:
        self._found, self._head, self._first = found, head, first
        self._before = NOWHERE if first == 1 else Place(first - 1, "?")

    def step(self, line: Line, following: Line | None) -> None:
        """One line, and the one after it."""
        after = following.record if following is not None else None
        if after is not None and after.after_torn and after.after_torn == hashlib.sha256(line.content).hexdigest():
            self._found.torn.append(self._at(line, f"{len(line.content)} bytes of a record that a crash tore off"))
            return
        if line.record is not None and line.ended:
            self._record(line, line.record)
        elif line.ended:
            self._fault(line, "altered: its sha256 is not that of what it says, or it is no record")
            self._before = Place(self._before.number + 1, "?")
        else:
            self._fault(line, "torn: the line has no end, and no record after it names it")

    def end(self, last: Line | None) -> None:
        """Nothing follows."""
        found, head = self._found, self._head
        number = found.last.number if found.last is not None else 0
        file = last.file if last is not None else ""
        if head is None and last is not None:
            found.faults.append(Finding(number, "head", 0, "it is gone or no use: records may be missing at the end"))
        elif head is not None and head.number > number:
            why = f"gone from the end: records {number + 1} to {head.number}"
            found.faults.append(Finding(number + 1, file, 0, why))

    def _record(self, line: Line, record: Record) -> None:
        found = self._found
        if found.first is None and not found.faults and record.number < self._first:
            self._before = Place(record.number - 1, "?")  # more is there than has to be
        before = self._before
        expected = before.number + 1
        if record.number != expected:
            gap = record.number > expected
            missing = f"records {expected} to {record.number - 1} are missing" if gap else f"{expected} should follow"
            self._fault(line, f"out of turn: {missing}", record.number)
        elif before.sha256 not in ("?", record.previous):
            self._fault(line, "chained to another record than the one before it", record.number)
        if self._head is not None and record.number == self._head.number and record.sha256 != self._head.sha256:
            self._fault(line, "not the record that was written last under this number", record.number)
        found.records += 1
        found.first = found.first or record.place
        found.last = self._before = record.place

    def _fault(self, line: Line, why: str, number: int | None = None) -> None:
        self._found.faults.append(self._at(line, why, number))

    def _at(self, line: Line, why: str, number: int | None = None) -> Finding:
        return Finding(self._before.number + 1 if number is None else number, line.file, line.number, why)


def _lines(files: list[tuple[Path, int]]) -> Iterator[Line]:
    """Of each file no more than was in it."""
    for path, size in files:
        with path.open("rb") as file:
            number = 0
            while (left := size - file.tell()) > 0:
                content, number = file.readline()[:left], number + 1
                text = content.removesuffix(b"\n")
                yield Line(path.name, number, text, len(text) < len(content), parsed(text))
