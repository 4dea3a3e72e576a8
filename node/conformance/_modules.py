"""Modules of the information objects that results are (PS3.3 A.8.1, A.33.1, A.35, and the modules' own sections).

Of the patient and study modules every element that a source may have is named, of the others those that results use.
A test holds the table against what others have taken from the standard.
"""

from __future__ import annotations

from typing import NamedTuple

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MammographyCADSRStorage,
    SecondaryCaptureImageStorage,
)


class Module(NamedTuple):
    """A module's name, its section of PS3.3 and its elements by keyword."""

    name: str
    reference: str
    keywords: tuple[str, ...]


def _module(name: str, reference: str, keywords: str) -> Module:
    return Module(name, reference, tuple(keywords.split()))


_PATIENT = _module(
    "Patient",
    "C.7.1.1",
    "PatientName PatientID IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence PatientBirthDate "
    "PatientBirthTime PatientSex OtherPatientNames OtherPatientIDsSequence PatientComments "
    "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence",
)
_TRIAL_SUBJECT = _module(
    "Clinical Trial Subject",
    "C.7.1.3",
    "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID "
    "ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID",
)
_STUDY = _module(
    "General Study",
    "C.7.2.1",
    "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName ReferringPhysicianIdentificationSequence StudyID "
    "AccessionNumber IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord ProcedureCodeSequence "
    "ReferencedStudySequence",
)
_PATIENT_STUDY = _module(
    "Patient Study",
    "C.7.2.2",
    "AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight AdmissionID IssuerOfAdmissionIDSequence "
    "AdditionalPatientHistory ReasonForVisit",
)
_TRIAL_STUDY = _module("Clinical Trial Study", "C.7.2.3", "ClinicalTrialTimePointID ClinicalTrialTimePointDescription")
#: Elements of earlier editions that still travel.
_RETIRED = _module("Elements retired from the modules above", "PS3.6", "PatientBirthName EthnicGroup OtherPatientIDs")
_SERIES_KEYWORDS = (
    "Modality SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription "
    "ReferencedPerformedProcedureStepSequence"
)
_GENERAL_SERIES = _module(
    "General Series",
    "C.7.3.1",
    f"{_SERIES_KEYWORDS} Laterality BodyPartExamined ProtocolName RequestAttributesSequence",
)
_SR_SERIES = _module("SR Document Series", "C.17.1", _SERIES_KEYWORDS)
_KEY_OBJECT_SERIES = _module("Key Object Document Series", "C.17.6.1", _SERIES_KEYWORDS)
_EQUIPMENT = _module(
    "General Equipment",
    "C.7.5.1",
    "Manufacturer InstitutionName StationName ManufacturerModelName DeviceSerialNumber DeviceUID SoftwareVersions",
)
_SR_GENERAL = _module(
    "SR Document General",
    "C.17.2",
    "InstanceNumber PreliminaryFlag CompletionFlag CompletionFlagDescription VerificationFlag ContentDate ContentTime "
    "AuthorObserverSequence PredecessorDocumentsSequence IdenticalDocumentsSequence ReferencedRequestSequence "
    "PerformedProcedureCodeSequence CurrentRequestedProcedureEvidenceSequence PertinentOtherEvidenceSequence",
)
_KEY_OBJECT = _module(
    "Key Object Document",
    "C.17.6.2",
    "InstanceNumber ContentDate ContentTime ReferencedRequestSequence CurrentRequestedProcedureEvidenceSequence "
    "IdenticalDocumentsSequence",
)
_SR_CONTENT = _module(
    "SR Document Content",
    "C.17.3",
    "ValueType ConceptNameCodeSequence ContinuityOfContent ContentTemplateSequence ContentSequence",
)
_SOP_COMMON = _module(
    "SOP Common",
    "C.12.1",
    "SOPClassUID SOPInstanceUID SpecificCharacterSet InstanceCreationDate InstanceCreationTime InstanceCreatorUID "
    "TimezoneOffsetFromUTC ContributingEquipmentSequence CodingSchemeIdentificationSequence InstanceNumber",
)
_SC_EQUIPMENT = _module("SC Equipment", "C.8.6.1", "ConversionType Modality")
_IMAGE = _module(
    "General Image",
    "C.7.6.1",
    "InstanceNumber PatientOrientation ContentDate ContentTime ImageType ImageComments QualityControlImage "
    "BurnedInAnnotation RecognizableVisualFeatures LossyImageCompression LossyImageCompressionRatio "
    "LossyImageCompressionMethod ImageLaterality AnatomicRegionSequence PresentationLUTShape IconImageSequence",
)
_REFERENCE = _module(
    "General Reference",
    "C.12.4",
    "ReferencedImageSequence ReferencedInstanceSequence DerivationDescription DerivationCodeSequence "
    "SourceImageSequence",
)
_IMAGE_PIXEL = _module(
    "Image Pixel",
    "C.7.6.3",
    "SamplesPerPixel PhotometricInterpretation PlanarConfiguration Rows Columns PixelAspectRatio BitsAllocated "
    "BitsStored HighBit PixelRepresentation ICCProfile ColorSpace PixelData",
)
_SC_IMAGE = _module(
    "SC Image",
    "C.8.6.2",
    "DateOfSecondaryCapture TimeOfSecondaryCapture NominalScannedPixelSpacing PixelSpacing PixelSpacingCalibrationType "
    "PixelSpacingCalibrationDescription ViewCodeSequence",
)
_STATE_IDENTIFICATION = _module(
    "Presentation State Identification",
    "C.11.10",
    "PresentationCreationDate PresentationCreationTime InstanceNumber ContentLabel ContentDescription "
    "ContentCreatorName ContentCreatorIdentificationCodeSequence ConceptNameCodeSequence",
)
_STATE = (
    _module("Presentation Series", "C.11.9", "Modality"),
    _STATE_IDENTIFICATION,
    _module("Presentation State Relationship", "C.11.11", "ReferencedSeriesSequence"),
    _module("Presentation State Shutter", "C.11.12", "ShutterPresentationValue"),
    _module("Displayed Area", "C.10.4", "DisplayedAreaSelectionSequence"),
    _module("Graphic Annotation", "C.10.5", "GraphicAnnotationSequence"),
    _module("Spatial Transformation", "C.10.6", "ImageRotation ImageHorizontalFlip"),
    _module("Graphic Layer", "C.10.7", "GraphicLayerSequence"),
    _module("Graphic Group", "C.10.11", "GraphicGroupSequence"),
    _module("Modality LUT", "C.11.1", "RescaleIntercept RescaleSlope RescaleType ModalityLUTSequence"),
    _module("Softcopy VOI LUT", "C.11.8", "SoftcopyVOILUTSequence"),
    _module("Softcopy Presentation LUT", "C.11.6", "PresentationLUTSequence PresentationLUTShape"),
)
_PERSON = (_PATIENT, _TRIAL_SUBJECT, _STUDY, _PATIENT_STUDY, _TRIAL_STUDY)
_SR = (*_PERSON, _SR_SERIES, _EQUIPMENT, _SR_GENERAL, _SR_CONTENT, _SOP_COMMON, _RETIRED)

#: SOP class → the modules of its information object, in the standard's order.
MODULES: dict[str, tuple[Module, ...]] = {
    **dict.fromkeys(
        (MammographyCADSRStorage, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage),
        _SR,
    ),
    KeyObjectSelectionDocumentStorage: (
        *_PERSON, _KEY_OBJECT_SERIES, _EQUIPMENT, _KEY_OBJECT, _SR_CONTENT, _SOP_COMMON, _RETIRED
    ),
    SecondaryCaptureImageStorage: (
        *_PERSON, _GENERAL_SERIES, _EQUIPMENT, _SC_EQUIPMENT, _IMAGE, _REFERENCE, _IMAGE_PIXEL, _SC_IMAGE,
        _SOP_COMMON, _RETIRED,
    ),
    GrayscaleSoftcopyPresentationStateStorage: (
        *_PERSON, _GENERAL_SERIES, *_STATE, _EQUIPMENT, _SOP_COMMON, _RETIRED
    ),
}  # fmt: skip


def copied_from() -> tuple[str, ...]:
    """Keywords of the patient and study modules: what a source may tell of the woman and the study."""
    keywords = (keyword for module in (*_PERSON, _RETIRED) for keyword in module.keywords)
    return tuple(keyword for keyword in dict.fromkeys(keywords) if keyword != "StudyInstanceUID")


def module_of(sop_class_uid: str, keyword: str) -> Module | None:
    """The module that an element of such an object belongs to; None when the table does not have it."""
    return next((module for module in MODULES.get(sop_class_uid, ()) if keyword in module.keywords), None)
