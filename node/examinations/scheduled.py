"""What is scheduled against what came: which exams never did, and whose identity is another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from storage.records import Study
from storage.worklist import Expected, ExpectedLine


def bounds(day: date) -> tuple[datetime, datetime]:
    """A local day's start and end."""
    start = datetime.combine(day, time()).astimezone()
    return start, datetime.combine(day + timedelta(days=1), time()).astimezone()


def missing(lines: Sequence[ExpectedLine], now: datetime, after_s: float) -> list[ExpectedLine]:
    """Exams of which nothing came, so long after their time that something should have."""
    late = timedelta(seconds=after_s)
    return [line for line in lines if not line.state and line.expected.scheduled_at + late <= now]


def contradiction(study: Study, scheduled: Sequence[Expected]) -> str:
    """What of a study's identity is not what its worklist item says, in words without the values; "" for nothing."""
    for each in scheduled:
        issuers = {each.issuer_of_patient_id, study.issuer_of_patient_id} - {""}
        if each.patient_id and (each.patient_id != study.patient_id or len(issuers) > 1):
            return "Patient ID is not that of the worklist item with this Study Instance UID"
        if each.accession_number and each.accession_number != study.accession_number:
            return "Accession Number is not that of the worklist item with this Study Instance UID"
    return ""
