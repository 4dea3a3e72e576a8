"""What keeps exams from being read, over all that a node keeps: for whoever runs it, to mend what can be mended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ai.reasons import ReasonCode
from node.holdings import Holdings


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalLine:
    """One reason. unread: exams not read that name it; share: of all answered exams. exams, images: where it occurs.

    An image that is left out of an exam that is read counts in exams and images alone.
    """

    reason: str
    sentence: str
    advice: str
    unread: int
    share: float
    exams: int
    images: int
    since: datetime
    latest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalReport:
    """answered: exams with an answer, each by its latest reading. unread: how many of those were not read."""

    answered: int
    unread: int
    reasons: tuple[RefusalLine, ...]


def report(held: Holdings, since: datetime | None = None) -> RefusalReport:
    """Counted by the database; `since`: readings saved from then on."""
    answered, unread = held.refusals.exams(since)
    lines = tuple(
        RefusalLine(
            reason=count.code,
            sentence=ReasonCode(count.code).sentence,
            advice=ReasonCode(count.code).advice,
            unread=count.unread,
            share=count.unread / answered,
            exams=count.exams,
            images=count.images,
            since=count.first,
            latest=count.last,
        )
        for count in held.refusals.counts(since)
    )
    return RefusalReport(answered=answered, unread=unread, reasons=lines)
