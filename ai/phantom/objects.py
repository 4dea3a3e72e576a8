"""Stored pixel values + what is known of the exposure → a Digital Mammography X-Ray Image (PS3.3 A.27).

The headers carry what real systems send. VOI LUT Function (0028,1056) is left out unless asked for: without it a
window means LINEAR (PS3.3 C.11.2.1.2.1), and a common viewer shows images black when it is there. The IHE
Mammography Image profile requires it, so a strictly conforming image is to be had by naming one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.phantom.encoding import set_pixels
from ai.phantom.vendors import VendorLook

_IMPLEMENTATION_CLASS_UID = UID("2.25.103561236170398163521467280943611930127")

FOR_PRESENTATION, FOR_PROCESSING = "FOR PRESENTATION", "FOR PROCESSING"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who she is to the hospital. character_set: Specific Character Set (0008,0005), e.g. ISO_IR 192 or ISO_IR 100."""

    patient_name: str
    patient_id: str
    issuer_of_patient_id: str = "SCREENING"
    patient_birth_date: str = "19640229"
    patient_sex: str = "F"
    character_set: str = "ISO_IR 100"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHeader:
    """The study the images belong to. study_date: YYYYMMDD, study_time: HHMMSS."""

    study_instance_uid: str
    study_id: str
    study_date: str
    study_time: str
    accession_number: str
    study_description: str = "Mammography screening"
    institution_name: str = "Synthetic Breast Centre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One image of the study: which view, when, and what the machine noted. acquisition_time: HHMMSS."""

    standard_view: StandardView
    sop_instance_uid: str
    series_instance_uid: str
    series_number: int
    instance_number: int
    acquisition_time: str
    imager_pixel_spacing_mm: float
    body_part_thickness_mm: int = 55
    compression_force_n: int = 105
    oblique_angle_deg: int = 45
    breast_implant_present: bool = False
    presentation_intent_type: str = FOR_PRESENTATION
    voi_lut_function: str = ""  # LINEAR or SIGMOID
    source: str = ""  # SOP Instance UID of the For Processing image it was made from


def derived_uid(*parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on the parts alone: the same parts give the same UID."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    number = int.from_bytes(digest[:16]) & ~(0xF << 76) | (4 << 76)
    return f"2.25.{number & ~(0x3 << 62) | (0x2 << 62)}"


def mammogram(
    pixels: npt.NDArray[np.uint16],
    *,
    identity: Identity,
    study: StudyHeader,
    exposure: Exposure,
    look: VendorLook,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
) -> FileDataset:
    """The image object of stored values (rows × columns, at most look.largest_value), ready to write or send."""
    dataset = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = identity.character_set
    for part in (
        _sop_common(exposure),
        _patient(identity, study),
        _study_and_series(study, exposure),
        _equipment(study, look),
        _image(study, exposure, look),
        _view(exposure),
        _acquisition(exposure, look),
        _dose(exposure, look),
        _detector(exposure, look, pixels.shape),
        _display(exposure, look),
    ):
        dataset.update(part)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = _IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = "MAMMO_PHANTOM"
    set_pixels(dataset, pixels, transfer_syntax_uid)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One coded entry (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _sop_common(exposure: Exposure) -> Dataset:
    part = Dataset()
    presented = exposure.presentation_intent_type == FOR_PRESENTATION
    part.SOPClassUID = (
        DigitalMammographyXRayImageStorageForPresentation
        if presented
        else DigitalMammographyXRayImageStorageForProcessing
    )
    part.SOPInstanceUID = exposure.sop_instance_uid
    return part


def _patient(identity: Identity, study: StudyHeader) -> Dataset:
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


def _study_and_series(study: StudyHeader, exposure: Exposure) -> Dataset:
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


def _equipment(study: StudyHeader, look: VendorLook) -> Dataset:
    part = Dataset()
    part.Manufacturer = look.manufacturer
    part.ManufacturerModelName = look.manufacturer_model_name
    part.SoftwareVersions = list(look.software_versions)
    part.DeviceSerialNumber = look.device_serial_number
    part.StationName = look.station_name
    part.InstitutionName = study.institution_name
    part.InstitutionAddress = "1 Example Road"
    return part


def _image(study: StudyHeader, exposure: Exposure, look: VendorLook) -> Dataset:
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


def _view(exposure: Exposure) -> Dataset:
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


def _acquisition(exposure: Exposure, look: VendorLook) -> Dataset:
    part = Dataset()
    part.DistanceSourceToDetector = look.distance_source_to_detector_mm
    part.DistanceSourceToPatient = look.distance_source_to_detector_mm - 15
    part.DistanceSourceToEntrance = look.distance_source_to_detector_mm - 15 - exposure.body_part_thickness_mm
    magnification = look.distance_source_to_detector_mm / part.DistanceSourceToPatient
    part.EstimatedRadiographicMagnificationFactor = f"{magnification:.4f}"
    part.BodyPartThickness = exposure.body_part_thickness_mm
    part.CompressionForce = exposure.compression_force_n
    part.Grid = list(look.grid)
    part.ProtocolName = "SCREENING"
    part.AcquisitionDeviceProcessingDescription = "STANDARD"
    part.AcquisitionDeviceProcessingCode = "STD"
    return part


def _dose(exposure: Exposure, look: VendorLook) -> Dataset:
    """Technique and dose rise with the compressed thickness; mean glandular dose in dGy, entrance dose in mGy."""
    part = Dataset()
    thickness = exposure.body_part_thickness_mm
    exposure_uas = int(40_000 * np.exp((thickness - 50) / 60))
    part.KVP = 26 + round(max(thickness - 30, 0) / 12)
    part.XRayTubeCurrent = 100
    part.ExposureTime = exposure_uas // 100
    part.Exposure, part.ExposureInuAs = exposure_uas // 1000, exposure_uas
    part.RelativeXRayExposure = 400
    part.ExposureControlMode = "AUTOMATIC"
    part.ExposureStatus = "NORMAL"
    part.ExposureControlModeDescription = "AEC"
    part.FocalSpots = "0.3"
    part.AnodeTargetMaterial = look.anode_target_material
    part.FilterType = "STRIP"
    part.FilterMaterial = look.filter_material
    part.FilterThicknessMinimum = part.FilterThicknessMaximum = "0.05"
    part.RectificationType = "CONST POTENTIAL"
    part.HalfValueLayer = "0.55"
    part.EntranceDose = round(exposure_uas / 1e4)
    part.EntranceDoseInmGy = f"{exposure_uas / 1e4:.3f}"
    part.OrganDose = f"{exposure_uas / 1e4 * 0.0026:.5f}"
    return part


def _detector(exposure: Exposure, look: VendorLook, matrix: tuple[int, ...]) -> Dataset:
    part = Dataset()
    spacing = f"{exposure.imager_pixel_spacing_mm:.6g}"
    rows_mm, columns_mm = (round(size * exposure.imager_pixel_spacing_mm) for size in matrix)
    part.ImagerPixelSpacing = [spacing, spacing]
    part.DetectorType = look.detector_type
    part.DetectorConfiguration = "AREA"
    part.DetectorDescription = look.detector_description
    part.DetectorID = look.detector_id
    part.DateOfLastDetectorCalibration = "20240108"
    part.TimeOfLastDetectorCalibration = "070500"
    part.DetectorConditionsNominalFlag = "YES"
    part.DetectorTemperature = "29.5"
    part.DetectorBinning = [1, 1]
    part.DetectorElementPhysicalSize = [spacing, spacing]
    part.DetectorElementSpacing = [spacing, spacing]
    part.DetectorActiveShape = "RECTANGLE"
    part.DetectorActiveDimensions = [rows_mm, columns_mm]
    part.FieldOfViewShape = "RECTANGLE"
    part.FieldOfViewDimensions = [columns_mm, rows_mm]
    part.FieldOfViewOrigin = [0, 0]
    part.FieldOfViewRotation = "0"
    part.FieldOfViewHorizontalFlip = "NO"
    part.CollimatorShape = "RECTANGULAR"
    part.CollimatorLeftVerticalEdge, part.CollimatorUpperHorizontalEdge = 0, 0
    part.CollimatorRightVerticalEdge, part.CollimatorLowerHorizontalEdge = matrix[1] + 1, matrix[0] + 1
    return part


def _display(exposure: Exposure, look: VendorLook) -> Dataset:
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
