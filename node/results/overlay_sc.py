"""Mammograms with marks and heat burned in, as RGB Secondary Captures: for viewers that show pictures and no more.

One for each view that was read and has a marked region, or for each view that was read. A view that was not read has
none, and so has an exam that was not read: a mammogram without marks looks like a finding of nothing, whatever is
written on it. That it was not read is said by the summary card and the reports, and on every overlay of the exam.
"""

from __future__ import annotations

import copy
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset

from ai import elements
from ai.exam import StandardView
from node.results import Report, _capture, _document, _overlay, _text
from node.results._assertions import require_complete
from node.results._assertions_references import require_sound_overlay
from node.results._identity import keep_character_set

_KIND = "overlay_sc"
_SERIES_NUMBER = 9004


class OPTIONS(BaseModel):
    """Options of the overlays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: Literal["with_findings", "read"] = Field(
        default="with_findings", description="Which views get one: those with a marked region, or all that were read."
    )
    heat: bool = Field(default=True, description="Whether the heat map is drawn beneath the marks.")
    longer_side: int = Field(
        default=1536,
        ge=1024,
        le=2048,
        description="Longer side of the mammogram in it, in pixels; it is drawn from a preview of at most 1024.",
    )


def build(report: Report, options: OPTIONS) -> dict[str, Dataset]:
    """View, as "L CC" → its overlay. Raises InvalidResult."""
    require_complete(report.reading, report.sources)
    marked = {finding.region.sop_instance_uid for finding in report.reading.findings}
    sources = {str(source.SOPInstanceUID): source for source in _document.images(report)}
    chosen = [
        (image.standard_view, sources[image.sop_instance_uid])
        for image in report.reading.inputs
        if options.views == "read" or image.sop_instance_uid in marked
    ]
    made = {}
    for number, (view, source) in enumerate(chosen, start=1):
        made[str(view)] = _overlaid(report, options, view, source)
        made[str(view)].InstanceNumber = number
    return made


def _overlaid(report: Report, options: OPTIONS, view: StandardView, source: Dataset) -> Dataset:
    dataset = _capture.new_capture(report, _KIND, options, [source], part=str(view))
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = "AI triage overlays"
    _copy_view(source, dataset)
    picture = _overlay.render(report, source, view, options.longer_side, heat=options.heat)
    dataset.ImageComments = ". ".join(_overlay.sentences(report, source, view)) + "."
    dataset.DerivationDescription = (
        f"{view} of the exam, scaled from {source.Rows} × {source.Columns} pixels and windowed for a preview, "
        f"with the marks {'and the heat map ' if options.heat else ''}of the AI reading drawn on it: "
        f"{_text.CATEGORIES[report.reading.category]}"
    )
    _capture.tell_compression(dataset, [source])
    _capture.put_pixels(dataset, picture)
    keep_character_set(dataset)
    require_sound_overlay(dataset, source)
    return dataset


def _copy_view(source: Dataset, dataset: Dataset) -> None:
    """How the mammogram lies, so that a viewer hangs the overlay beside it; no pixel spacing, for it is no measure."""
    dataset.ImageLaterality = elements.text(source, "ImageLaterality")
    dataset.PatientOrientation = list(elements.texts(source, "PatientOrientation")) or ""
    views = copy.deepcopy(elements.items(source, "ViewCodeSequence"))
    for item in views:
        if "ViewModifierCodeSequence" in item and not item.ViewModifierCodeSequence:
            del item.ViewModifierCodeSequence
    if views:
        dataset.ViewCodeSequence = list(views)
