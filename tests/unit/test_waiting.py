"""Every exam that waits says for what."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from node import waiting
from storage.records import Delivery, DeliveryState, Event, Priority, Study, StudyState

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
CLOCK = AT.astimezone().strftime("%H:%M:%S")
STUDY = Study(
    study_instance_uid="1.2.3",
    priority=Priority.ROUTINE,
    state=StudyState.RECEIVING,
    revision=1,
    failures=0,
    jobs=0,
    due_at=AT,
    first_received_at=AT,
    last_received_at=AT,
    changed_at=AT,
    patient_id="P",
    issuer_of_patient_id="",
    accession_number="",
    study_date="",
)
DELIVERY = Delivery(
    sop_instance_uid="1.2.4",
    study_instance_uid="1.2.3",
    revision=1,
    kind="summary_sc",
    destination="PACS",
    state=DeliveryState.PENDING,
    attempts=1,
    due_at=AT,
    last_error="it cannot be reached",
)
FOUR = ("R CC", "L CC", "R MLO", "L MLO")


def told(text: str) -> Event:
    return Event(study_instance_uid="1.2.3", revision=1, at=AT, stage="read", text=text)


@pytest.mark.parametrize(
    ("state", "given", "said"),
    [
        (StudyState.RECEIVING, {"views": FOUR[:3]}, f"L MLO not there; read as it is at {CLOCK}"),
        (StudyState.RECEIVING, {"views": FOUR}, f"all views are there; read as it is at {CLOCK}"),
        (StudyState.READING, {}, "waits for the reader"),
        (StudyState.READING, {"failures": 1, "events": ["failed: it died; again at 08:01"]}, "failed: it died; again"),
        (StudyState.DELIVERING, {"deliveries": [DELIVERY]}, f"1 of 1 not there, it cannot be reached; next .* {CLOCK}"),
        (
            StudyState.UNDELIVERED,
            {
                "deliveries": [
                    replace(DELIVERY, state=DeliveryState.FAILED),
                    replace(DELIVERY, sop_instance_uid="1.2.5"),
                ]
            },
            "PACS: 2 of 2 not there",
        ),
        (
            StudyState.DELIVERING,
            {"deliveries": [replace(DELIVERY, state=DeliveryState.UNCOMMITTED, last_error="")]},
            "PACS: 1 of 1 not there, sent, and its commitment is waited for",
        ),
        (
            StudyState.UNDELIVERED,
            {"deliveries": [replace(DELIVERY, state=DeliveryState.HELD, last_error="another patient")]},
            "PACS: 1 of 1 not there, another patient; held for a person",
        ),
        (StudyState.HELD, {"events": ["received R CC", "held for a person: two patients"]}, "two patients"),
        (StudyState.ANSWERED, {}, "^$"),
    ],
)
def test_an_exam_says_what_it_waits_for(state: StudyState, given: dict[str, object], said: str) -> None:
    study = replace(STUDY, state=state, failures=given.get("failures", 0))
    events = [told(text) for text in given.get("events", ())]
    found = waiting.reason(study, given.get("views", ()), given.get("deliveries", ()), events)
    assert re.search(said, found), found
