"""Header parts that say who, what and how to show it: patient, study, series, equipment, image, view, display."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from ai.exam import ImageLaterality, ViewPosition
from ai.phantom.exposure import FOR_PRESENTATION, Exposure, Identity, StudyHeader
from ai.phantom.vendors import VendorLook

_VIEWS = {
    ViewPosition.CC: ("399162004", "SCT", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "SCT", "medio-lateral oblique"),
}
# Patient Orientation (0020,0020): what lies at the right and at the lower edge. The chest wall of a right breast
# is at the right edge; CC has the lateral side, MLO the axilla, at the upper edge.
_ORIENTATIONS = {
    (ImageLaterality.RIGHT, ViewPosition.CC): ["P", "L"],
    (ImageLaterality.LEFT, ViewPosition.CC): ["A", "R"],
    (ImageLaterality.RIGHT, ViewPosition.MLO): ["P", "FL"],
    (ImageLaterality.LEFT, ViewPosition.MLO): ["A", "FR"],
}


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One coded entry (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def sop_common_part(exposure: Exposure) -> Dataset:
    part = Dataset()
    presented = exposure.presentation_intent_type == FOR_PRESENTATION
    part.SOPClassUID = (
        DigitalMammographyXRayImageStorageForPresentation
        if presented
        else DigitalMammographyXRayImageStorageForProcessing
    )
    part.SOPInstanceUID = exposure.sop_instance_uid
    return part


def patient_part(identity: Identity, study: StudyHeader) -> Dataset:
    part = Dataset()
    part.PatientName = identity.patient_name
    part.PatientID = identity.patient_id
    part.IssuerOfPatientID = identity.issuer_of_patient_id
    part.PatientBirthDate = identity.patient_birth_date
    part.PatientSex = identity.patient_sex
    if identity.patient_birth_date and study.study_date:
        born, now = identity.patient_birth_date, study.study_date
        part.PatientAge = f"{int(now[:4]) - int(born[:4]) - (now[4:] < born[4:]):03d}Y"
    return part


def study_and_series_part(study: StudyHeader, exposure: Exposure) -> Dataset:
    part = Dataset()
    part.StudyInstanceUID = study.study_instance_uid
    part.StudyDate = part.SeriesDate = study.study_date
    part.StudyTime = study.study_time
    part.SeriesTime = exposure.acquisition_time
    part.StudyID = study.study_id
    part.AccessionNumber = study.accession_number
    part.StudyDescription = study.study_description
    part.ReferringPhysicianName = ""
    part.SeriesInstanceUID = exposure.series_instance_uid
    part.SeriesNumber = exposure.series_number
    part.SeriesDescription = f"{exposure.standard_view} {exposure.presentation_intent_type.title()}"
    part.Modality = "MG"
    part.PresentationIntentType = exposure.presentation_intent_type
    part.ProcedureCodeSequence = Sequence([code("24623002", "SCT", "Screening mammography")])
    request = Dataset()
    request.RequestedProcedureID = request.ScheduledProcedureStepID = study.study_id
    request.RequestedProcedureDescription = request.ScheduledProcedureStepDescription = study.study_description
    part.RequestAttributesSequence = Sequence([request])
    part.PerformedProcedureStepID = study.study_id
    part.PerformedProcedureStepStartDate, part.PerformedProcedureStepStartTime = study.study_date, study.study_time
    part.PerformedProcedureStepDescription = study.study_description
    part.OperatorsName = "RADIOGRAPHER^ONE"
    return part


def equipment_part(study: StudyHeader, look: VendorLook) -> Dataset:
    part = Dataset()
    part.Manufacturer = look.manufacturer
    part.ManufacturerModelName = look.manufacturer_model_name
    part.SoftwareVersions = list(look.software_versions)
    part.DeviceSerialNumber = look.device_serial_number
    part.StationName = look.station_name
    part.InstitutionName = study.institution_name
    part.InstitutionAddress = "1 Example Road"
    return part


def image_part(study: StudyHeader, exposure: Exposure, look: VendorLook) -> Dataset:
    part = Dataset()
    presented = exposure.presentation_intent_type == FOR_PRESENTATION
    part.ImageType = ["DERIVED" if presented else "ORIGINAL", "PRIMARY", ""]
    part.InstanceNumber = part.AcquisitionNumber = exposure.instance_number
    part.AcquisitionDate = part.ContentDate = study.study_date
    part.AcquisitionTime = part.ContentTime = exposure.acquisition_time
    part.PatientOrientation = _ORIENTATIONS[
        exposure.standard_view.image_laterality, exposure.standard_view.view_position
    ]
    part.QualityControlImage = part.BurnedInAnnotation = "NO"
    part.LossyImageCompression = "00"
    part.SamplesPerPixel = 1
    part.PhotometricInterpretation = look.photometric_interpretation
    part.BitsAllocated, part.BitsStored, part.HighBit = 16, look.bits_stored, look.bits_stored - 1
    part.PixelRepresentation = 0
    part.PixelPaddingValue = look.largest_value if look.photometric_interpretation == "MONOCHROME1" else 0
    part.AcquisitionContextSequence = Sequence([])
    if presented:
        part.DerivationDescription = "processed for presentation"
    if exposure.source:
        source = Dataset()
        source.ReferencedSOPClassUID = DigitalMammographyXRayImageStorageForProcessing
        source.ReferencedSOPInstanceUID = exposure.source
        source.PurposeOfReferenceCodeSequence = Sequence([code("121320", "DCM", "Uncompressed predecessor")])
        source.SpatialLocationsPreserved = "YES"
        part.SourceImageSequence = Sequence([source])
    return part


def view_part(exposure: Exposure) -> Dataset:
    part = Dataset()
    view = exposure.standard_view
    part.ImageLaterality = str(view.image_laterality)
    part.ViewPosition = str(view.view_position)
    view_code = code(*_VIEWS[view.view_position])
    view_code.ViewModifierCodeSequence = Sequence([])
    part.ViewCodeSequence = Sequence([view_code])
    part.AnatomicRegionSequence = Sequence([code("76752008", "SCT", "Breast")])
    part.BodyPartExamined = "BREAST"
    part.BreastImplantPresent = "YES" if exposure.breast_implant_present else "NO"
    part.PartialView = "NO"
    part.OrganExposed = "BREAST"
    part.PositionerType = "MAMMOGRAPHIC"
    angle = 0 if view.view_position is ViewPosition.CC else exposure.oblique_angle_deg
    part.PositionerPrimaryAngle = angle if view.image_laterality is ImageLaterality.RIGHT else -angle
    return part


def display_part(exposure: Exposure, look: VendorLook) -> Dataset:
    part = Dataset()
    presented = exposure.presentation_intent_type == FOR_PRESENTATION
    part.PixelIntensityRelationship = "LOG" if presented else "LIN"
    part.PixelIntensityRelationshipSign = -1 if presented and look.photometric_interpretation == "MONOCHROME2" else 1
    part.RescaleIntercept, part.RescaleSlope, part.RescaleType = 0, 1, "US"
    part.PresentationLUTShape = "INVERSE" if look.photometric_interpretation == "MONOCHROME1" else "IDENTITY"
    if presented:
        center, width = look.window
        part.WindowCenter, part.WindowWidth = center, width
        part.WindowCenterWidthExplanation = "NORMAL"
        if exposure.voi_lut_function:
            part.VOILUTFunction = exposure.voi_lut_function
    return part
