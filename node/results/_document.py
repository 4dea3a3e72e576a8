"""The SR Document Series and SR Document General modules (PS3.3 C.17.1, C.17.2) of both structured reports."""

from __future__ import annotations

from pydantic import BaseModel
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ai.findings import Category, Finding, Reading
from ai.reasons import ReasonCode
from node.results import Predecessor, Report, _codes, _sr, _uids
from node.results._assertions import require_sound
from node.results._codes import Code
from node.results._identity import (
    declare_private_codes,
    evidence,
    keep_character_set,
    new_object,
    referenced_requests,
)

#: Reasons that mean the reading was tried and failed; every other reason refuses an exam before the attempt.
_TRIED = {
    ReasonCode.READER_FAILED,
    ReasonCode.MODEL_FAILED,
    ReasonCode.INSTANCE_UNREADABLE,
    ReasonCode.OUT_OF_MEMORY,
}


def new_document(report: Report, kind: str, options: BaseModel, sop_class_uid: UID, part: str = "") -> Dataset:
    """An SR document without its content tree: complete, unverified, final."""
    dataset = new_object(report, kind, options, sop_class_uid, part)
    dataset.Modality = "SR"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "FINAL"
    dataset.PerformedProcedureCodeSequence = []
    if requests := referenced_requests(report.sources[0]):
        dataset.ReferencedRequestSequence = requests
    if references := evidence(images(report)):
        dataset.CurrentRequestedProcedureEvidenceSequence = references
    if report.prior_sources:
        dataset.PertinentOtherEvidenceSequence = evidence(report.prior_sources)
    if earlier := predecessors(report, part):
        dataset.PredecessorDocumentsSequence = evidence(earlier)
    return dataset


def finish(dataset: Dataset, report: Report, root: Dataset, template: str) -> Dataset:
    """Put the tree under the root container `root`, fit our own words to the character set, and judge the whole.

    Raises InvalidResult when the document breaks a rule of `_assertions.check`.
    """
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = root.ConceptNameCodeSequence
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ContentTemplateSequence = [template_item(template)]
    dataset.ContentSequence = root.ContentSequence
    if _uses_private_codes(dataset):
        declare_private_codes(dataset)
    keep_character_set(dataset)
    require_sound(dataset, report.sources)
    return dataset


def template_item(identifier: str) -> Dataset:
    """A Content Template Sequence item (PS3.3 C.18.8) of PS3.16."""
    item = Dataset()
    item.MappingResource = "DCMR"
    item.TemplateIdentifier = identifier
    return item


def images(report: Report) -> list[Dataset]:
    """The sources that an IMAGE item may refer to, each once, in their order: the image library."""
    return list({str(s.SOPInstanceUID): s for s in report.sources if _sr.is_image(s)}.values())


def summary(reading: Reading) -> Code:
    """CAD Processing and Findings Summary (CID 6047).

    An exam above NEGATIVE is never coded "without findings", even where no region is marked; nor is an exam
    "all succeeded" where a standard view was not read.
    """
    if reading.category is Category.NOT_READ:
        return _codes.NONE_SUCCEEDED
    found = bool(reading.findings) or reading.category is not Category.NEGATIVE
    if is_partial(reading):
        return _codes.SOME_WITH_FINDINGS if found else _codes.SOME_WITHOUT_FINDINGS
    return _codes.ALL_WITH_FINDINGS if found else _codes.ALL_WITHOUT_FINDINGS


def is_partial(reading: Reading) -> bool:
    """Whether some, but not all, of the four standard views were read."""
    return 0 < len({image.standard_view for image in reading.inputs}) < 4


def was_tried(reading: Reading) -> bool:
    """Whether a NOT_READ exam was tried and failed, rather than refused."""
    return any(reason.code in _TRIED for reason in reading.reasons)


def lesion_tracking(report: Report, finding: Finding, number: int) -> tuple[str, str]:
    """Tracking identifier ("Lesion 1, L CC") and UID of a finding, the same in every result of one reading.

    number: of the finding in the reading, from 1; makes the UID unique where a lesion is marked twice on a view.
    """
    views = {image.sop_instance_uid: image.standard_view for image in report.reading.inputs}
    view = views.get(finding.region.sop_instance_uid, finding.image_laterality)
    return f"Lesion {finding.lesion}, {view}", _uids.tracking_uid(report, "finding", str(number))


def _uses_private_codes(dataset: Dataset) -> bool:
    return any(
        element.value == _codes.PRIVATE_SCHEME
        for element in dataset.iterall()
        if element.keyword == "CodingSchemeDesignator"
    )


def predecessors(report: Report, part: str) -> list[Dataset]:
    """References to the documents that `part` follows: the same part's, else the whole's; of a whole, every part's."""
    same = report.predecessors.get(part) or report.predecessors.get("")
    earlier = [same] if same else [] if part else list(report.predecessors.values())
    return [reference(each) for each in earlier]


def reference(earlier: Predecessor) -> Dataset:
    """An earlier object as a header of UIDs alone, for `evidence`."""
    header = Dataset()
    header.StudyInstanceUID = earlier.study_instance_uid
    header.SeriesInstanceUID = earlier.series_instance_uid
    header.SOPClassUID = earlier.sop_class_uid
    header.SOPInstanceUID = earlier.sop_instance_uid
    return header
