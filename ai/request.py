"""What the engine is asked, and the one way in which it may fail to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ai.exam import Exam


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """An exam to read. files: SOP Instance UID → stored instance, at least of every view of the exam."""

    exam: Exam
    files: Mapping[str, Path]
    revision: int


class OutOfMemory(Exception):
    """Memory ran out, of the machine or of the device: with more of it, or alone, the exam may be read."""
