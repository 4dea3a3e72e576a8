"""Which attributes searches find and return, by level, and how they are taken from a data set.

Those of PS3.18 10.6.3.3 and PS3.4 C.6.2, and what is of use for breast imaging. As DICOM JSON in UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from node import dicom_json, moments
from node.names import folded
from storage.catalogue import Level
from storage.records import Entry

_PATIENT = """
PatientName PatientID IssuerOfPatientID OtherPatientIDsSequence PatientBirthDate PatientBirthTime PatientSex
PatientComments
"""
_STUDY = """
StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName StudyDescription StudyID
StudyInstanceUID TimezoneOffsetFromUTC ProcedureCodeSequence NameOfPhysiciansReadingStudy AdmittingDiagnosesDescription
PatientAge PatientSize PatientWeight
"""
_SERIES = """
Modality SeriesInstanceUID SeriesNumber SeriesDescription SeriesDate SeriesTime Laterality BodyPartExamined ProtocolName
PresentationIntentType PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepID
PerformedProcedureStepDescription RequestAttributesSequence PerformingPhysicianName OperatorsName Manufacturer
ManufacturerModelName StationName InstitutionName InstitutionalDepartmentName
"""
_INSTANCE = """
SOPClassUID SOPInstanceUID InstanceNumber ImageType AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate
ContentTime Rows Columns BitsAllocated NumberOfFrames PhotometricInterpretation ImageLaterality ViewPosition
ViewCodeSequence BurnedInAnnotation LossyImageCompression PartialView BreastImplantPresent ConceptNameCodeSequence
CompletionFlag VerificationFlag ReferencedRequestSequence ContentLabel ContentDescription DocumentTitle
"""


def tags(keywords: str) -> frozenset[str]:
    """The tags of these keywords, as 8 hex digits."""
    return frozenset(f"{tag_for_keyword(keyword):08X}" for keyword in keywords.split())


#: The tags that are kept of each level; a patient's are a study's.
KEPT: Mapping[Level, frozenset[str]] = {
    Level.STUDY: tags(_PATIENT + _STUDY),
    Level.SERIES: tags(_SERIES),
    Level.INSTANCE: tags(_INSTANCE),
}
_NUMBERS = {level: sorted(int(tag, 16) for tag in tags) for level, tags in KEPT.items()}
#: What is counted or known of a level, and not in any one data set.
RETRIEVE_URL, INSTANCE_AVAILABILITY = "00081190", "00080056"
MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY = "00080061", "00080062"
STUDY_SERIES, STUDY_INSTANCES, SERIES_INSTANCES = "00201206", "00201208", "00201209"
COMPUTED: Mapping[Level, frozenset[str]] = {
    Level.STUDY: frozenset((MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, STUDY_SERIES, STUDY_INSTANCES)),
    Level.SERIES: frozenset((SERIES_INSTANCES,)),
    Level.INSTANCE: frozenset(),
}


def entry(dataset: Dataset) -> Entry:
    """What searches find of an instance, whose UIDs are already checked."""
    study, series, instance = (dicom_json.attributes(dataset, tags=_NUMBERS[level]) for level in Level)
    return Entry(
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        patient_id=_text(dataset, "PatientID"),
        patient_name=folded(_text(dataset, "PatientName")),
        accession_number=_text(dataset, "AccessionNumber"),
        study_date=moments.sortable("DA", _text(dataset, "StudyDate")),
        modality=_text(dataset, "Modality"),
        study=study,
        series=series,
        instance=instance,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().replace("\0", "")
