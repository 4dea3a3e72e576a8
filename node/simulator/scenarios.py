"""Which of the demonstration's exams."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai.phantom import ExamSpec, demo_exams
from node.errors import ConfigError

ALL = "all"


def chosen(seed: int, names: Sequence[str] = (ALL,)) -> list[ExamSpec]:
    """The demonstration's exams that have any of `names` in theirs, in its order.

    Raises ConfigError for a name that none has.
    """
    every = demo_exams(seed)
    if ALL in names:
        return every
    for name in names:
        if not any(_is_of(name, spec) for spec in every):
            raise ConfigError(f"--scenario {name}: there is {'; '.join(spec.name for spec in every)}")
    return [spec for spec in every if any(_is_of(name, spec) for name in names)]


def _is_of(name: str, spec: ExamSpec) -> bool:
    """A part of the exam's name, from the beginning of a word."""
    return re.search(rf"(?<!\w){re.escape(name)}", spec.name, re.IGNORECASE) is not None
