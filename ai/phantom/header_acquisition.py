"""Header parts that say how the exposure was made: positioning, technique and dose, detector."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from ai.phantom.exposure import Exposure
from ai.phantom.vendors import VendorLook


def acquisition_part(exposure: Exposure, look: VendorLook) -> Dataset:
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


def dose_part(exposure: Exposure, look: VendorLook) -> Dataset:
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


def detector_part(exposure: Exposure, look: VendorLook, matrix: tuple[int, ...]) -> Dataset:
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
