"""A superseded result taken back: Key Object Selection "Rejected for Quality Reasons" (IHE IOCM) at a new revision.

It names every object of the earlier revisions but earlier notes, also those that this destination never got: a note
may come before what it rejects. A destination gets it when it has everything else of the revision, so that the old
result is never hidden while the new one is still under way. A first revision has nothing to take back.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset

from node.results import Report, _codes, _document, _selection

SENT_LAST = True
_KIND = "rejection_note"
_SERIES_NUMBER = 9008


class OPTIONS(BaseModel):
    """The rejection note has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The note; none where nothing is superseded."""
    objects = [_document.reference(earlier) for earlier in report.superseded if earlier.kind != _KIND]
    if not objects:
        return {}
    revision = report.reading.revision
    description = (
        f"Superseded AI result: the exam was read again, and revision {revision} replaces what is listed here. "
        "The mammograms are not concerned."
    )
    selection = _selection.Selection(_codes.REJECTED_FOR_QUALITY, description, objects)
    dataset = _selection.build(report, _KIND, options, selection)
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = "AI triage: superseded result rejected"
    return {"": dataset}
