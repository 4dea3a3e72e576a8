"""Why an exam waits, in words, and what it waits for; nothing of the patient."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ai.exam import STANDARD_VIEWS
from storage.records import Delivery, DeliveryState, Event, Study, StudyState


def reason(study: Study, views: Sequence[str], deliveries: Sequence[Delivery], events: Sequence[Event]) -> str:
    """What an exam waits for; "" when it waits for nothing.

    views: its standard views. deliveries: of its current revision. events: its history, oldest first.
    """
    if study.state is StudyState.RECEIVING:
        return _receiving(study, views)
    if study.state in (StudyState.READING, StudyState.REPORTING):
        return _working(study, events)
    if study.state in (StudyState.DELIVERING, StudyState.UNDELIVERED):
        return _delivering(deliveries)
    if study.state is StudyState.HELD:
        return _last(events, "a person must look")
    return ""


def _receiving(study: Study, views: Sequence[str]) -> str:
    missing = [str(view) for view in STANDARD_VIEWS if str(view) not in views]
    until = f"read as it is at {_clock(study.due_at)}" if study.due_at else "not to be read"
    return f"{', '.join(missing)} not there; {until}" if missing else f"all views are there; {until}"


def _working(study: Study, events: Sequence[Event]) -> str:
    what = "the reader" if study.state is StudyState.READING else "its report"
    return _last(events, f"waits for {what}") if study.failures else f"waits for {what}"


def _delivering(deliveries: Sequence[Delivery]) -> str:
    told = []
    for name in dict.fromkeys(each.destination for each in deliveries):
        mine = [each for each in deliveries if each.destination == name]
        open_ = [each for each in mine if each.state not in (DeliveryState.DELIVERED, DeliveryState.COMMITTED)]
        if open_:
            told.append(f"{name}: {len(open_)} of {len(mine)} not there, {_why(open_)}")
    return "; ".join(told)


def _why(open_: Sequence[Delivery]) -> str:
    error = next((each.last_error for each in open_ if each.last_error), "")
    when = _when([each for each in open_ if each.state is DeliveryState.PENDING], {each.state for each in open_})
    return f"{error}; {when}" if error else when


def _when(pending: Sequence[Delivery], states: Collection[DeliveryState]) -> str:
    if pending:
        return f"next attempt at {_clock(min(each.due_at for each in pending))}"
    if DeliveryState.UNCOMMITTED in states:
        return "sent, and its commitment is waited for"
    return "held for a person" if DeliveryState.HELD in states else "given up"


def _last(events: Sequence[Event], otherwise: str) -> str:
    told = [each.text for each in events if each.text.startswith(("failed: ", "held for a person: "))]
    return told[-1] if told else otherwise


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")
