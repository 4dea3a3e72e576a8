"""An exam on its way through the engine: what has been made of it so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter

from ai.detection import PreparedViews, ReadViews
from ai.exam import Exam, StandardView, View
from ai.priors import PreparedPrior
from ai.reasons import Reason
from ai.request import ReadRequest
from ai.sources import Sources


@dataclass(frozen=True, slots=True)
class Run:
    """One exam while it is read."""

    request: ReadRequest
    sources: Sources
    started_at: datetime
    timings_s: dict[str, float] = field(default_factory=dict)

    @property
    def exam(self) -> Exam:
        return self.request.exam

    @property
    def files(self) -> Mapping[str, Path]:
        return self.request.files

    @property
    def revision(self) -> int:
        return self.request.revision

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = perf_counter()
        yield
        self.timings_s[name] = perf_counter() - start


@dataclass(frozen=True, slots=True, eq=False)
class PreparedExam:
    """An exam that is ready for the models. views: or why there are none, when the exam is not read."""

    run: Run
    left_out: tuple[Reason, ...]
    views: PreparedViews | tuple[Reason, ...]
    standing: Mapping[StandardView, View] = field(default_factory=dict)
    priors: Sequence[PreparedPrior] = ()

    @property
    def to_compute(self) -> list[PreparedViews]:
        """What the model is to answer: the views of the exam, then of its priors, where they can be read."""
        every = (self.views, *(prior.views for prior in self.priors))
        return [views for views in every if isinstance(views, PreparedViews)]


#: The detection model's answers to an exam, or why there are none; then those to each of its priors that has views.
Answers = Sequence[ReadViews | Exception]
