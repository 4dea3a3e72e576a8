"""Reading a woman's earlier exams for a strategy that looks at them. A prior never stops the exam at hand.

A prior is held to the same rules as any exam, and read by the same model as the exam at hand, so that the two can be
compared. One that cannot be read is told with its reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ai.eligibility import EligibilityRules, Ineligible, judge
from ai.exam import Exam, StandardView
from ai.findings import Algorithm, PriorComparison
from ai.pixels import BreastImage
from ai.reading import PriorViews, ReadView
from ai.reasons import Reason, ReasonCode
from ai.sources import Sources

_log = logging.getLogger(__name__)

Detect = Callable[[Mapping[StandardView, BreastImage]], dict[StandardView, ReadView]]


@dataclass(frozen=True, slots=True, eq=False)
class PriorsRead:
    """views: of the priors that could be read, the newest first. unread: the newest one that could not."""

    views: tuple[PriorViews, ...] = ()
    unread: PriorComparison | None = None


@dataclass(frozen=True, slots=True)
class PriorReader:
    """Reads priors with the engine's model. detect: its answer to the views of one exam."""

    rules: EligibilityRules
    algorithm: Algorithm
    detect: Detect

    def read(self, exam: Exam, files: Mapping[str, Path], most: int) -> PriorsRead:
        """The newest `most` priors of the exam, as far as they can be read."""
        views: list[PriorViews] = []
        unread: PriorComparison | None = None
        for prior in exam.priors[:most]:
            found = self._read_one(prior, files)
            if isinstance(found, PriorViews):
                views.append(found)
            else:
                unread = unread or self._unread(prior, found)
        return PriorsRead(tuple(views), unread)

    def _read_one(self, prior: Exam, files: Mapping[str, Path]) -> PriorViews | tuple[Reason, ...]:
        sources = Sources(files)
        try:
            while True:
                verdict = judge(prior, self.rules, sources.unreadable)
                if isinstance(verdict, Ineligible):
                    return verdict.reasons
                if sources.prepare(verdict.views.values()):
                    break
            images = {s: sources.breasts[view.sop_instance_uid] for s, view in verdict.views.items()}
            return PriorViews(prior, self.detect(images), self.algorithm)
        except Exception as error:  # noqa: BLE001 whatever a prior does to us, the exam at hand is read
            _log.exception("prior study %s could not be read", prior.study_instance_uid)
            return (Reason(ReasonCode.MODEL_FAILED, detail=type(error).__name__),)

    def _unread(self, prior: Exam, reasons: tuple[Reason, ...]) -> PriorComparison:
        return PriorComparison(
            study_instance_uid=prior.study_instance_uid,
            study_date=prior.study_date,
            algorithm=self.algorithm,
            reasons=reasons,
        )
