"""Key Object Selection documents (PS3.3 A.35.4, TID 2010): a title, a sentence, and the objects it speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from node.results import Report, _codes, _document, _sr
from node.results._assertions_references import require_sound_selection
from node.results._codes import Code
from node.results._identity import evidence, keep_character_set, new_object, referenced_requests


class Selection(NamedTuple):
    """What a document selects and why. objects: headers, or UIDs alone; at least one."""

    title: Code
    description: str
    objects: Sequence[Dataset]


def build(report: Report, kind: str, options: BaseModel, selection: Selection) -> Dataset:
    """The document, without series number and description. Raises InvalidResult where it is not sound."""
    dataset = new_object(report, kind, options, KeyObjectSelectionDocumentStorage)
    dataset.Modality = "KO"
    dataset.ReferencedPerformedProcedureStepSequence = []
    if requests := referenced_requests(report.sources[0]):
        dataset.ReferencedRequestSequence = requests
    dataset.CurrentRequestedProcedureEvidenceSequence = evidence(selection.objects)
    dataset.ValueType = "CONTAINER"
    root = _sr.container(selection.title, _content(report, selection))
    dataset.ConceptNameCodeSequence = root.ConceptNameCodeSequence
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ContentTemplateSequence = [_document.template_item("2010")]
    dataset.ContentSequence = root.ContentSequence
    keep_character_set(dataset)
    require_sound_selection(dataset, selection.objects, report.reading.study_instance_uid)
    return dataset


def _content(report: Report, selection: Selection) -> list[Dataset]:
    return [
        _sr.language(),
        *_sr.device_observer(report),
        _sr.text(_codes.KEY_OBJECT_DESCRIPTION, selection.description),
        *(_sr.image(each) if _sr.is_image(each) else _sr.composite(each) for each in selection.objects),
    ]
