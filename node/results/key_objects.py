"""The images with findings as a Key Object Selection "Of Interest": a viewer lists them and jumps from one to the next.

It names the mammograms alone. Which of the result's own objects a destination gets is for its configuration to say,
and a reference to one that never comes is worse than none; a card among the key images would also take the place of a
view in the hanging. An exam without a marked region, and one that was not read, has no such document.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset

from node.results import Report, _codes, _document, _selection, _text

_SERIES_NUMBER = 9007


class OPTIONS(BaseModel):
    """The key objects have no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """The document; none where no region is marked."""
    marked = {finding.region.sop_instance_uid for finding in report.reading.findings}
    images = [source for source in _document.images(report) if str(source.SOPInstanceUID) in marked]
    if not images:
        return {}
    selection = _selection.Selection(_codes.OF_INTEREST, _description(report), images)
    dataset = _selection.build(report, "key_objects", options, selection)
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = "AI triage key images"
    return {"": dataset}


def _description(report: Report) -> str:
    """E.g. "AI triage: suspicious. Marked: L CC 87.3 %, L MLO 77.3 %. Not for clinical use." """
    sentences = [f"AI triage: {_text.within_a_line(report.reading.category)}", f"Marked: {_text.marks(report)}"]
    if report.reading.algorithm.labelling:
        sentences.append(report.reading.algorithm.labelling.rstrip("."))
    return ". ".join(sentences) + "."
