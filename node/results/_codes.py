"""Coded concepts of the result objects: (value, coding scheme, meaning), with where each is defined.

What has no standard code (triage category, percentile, band, why an exam was not read) is in one private
scheme, declared in the Coding Scheme Identification Sequence (PS3.3 C.12.1.1.11).
"""

from __future__ import annotations

from typing import NamedTuple

from ai.exam import ImageLaterality, ViewPosition
from ai.findings import Algorithm, BreastComposition, Category, FindingType
from ai.reasons import ReasonCode

PRIVATE_SCHEME = "99MAMMONODE"


class Code(NamedTuple):
    """A Code Sequence Macro triplet (PS3.3 8.1): value, coding scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


# Language and observer: TID 1204, TID 1001–1004
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")
COUNTRY = _dcm("121046", "Country of Language")
UNITED_KINGDOM = Code("GB", "ISO3166_1", "United Kingdom")
OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE = _dcm("121007", "Device")
DEVICE_UID = _dcm("121012", "Device Observer UID")
DEVICE_NAME = _dcm("121013", "Device Observer Name")
DEVICE_MANUFACTURER = _dcm("121014", "Device Observer Manufacturer")
DEVICE_MODEL_NAME = _dcm("121015", "Device Observer Model Name")
DEVICE_SERIAL_NUMBER = _dcm("121016", "Device Observer Serial Number")
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
IMAGING_PROCEDURE = _sct("363679005", "Imaging procedure")

# Algorithm identification: TID 4019
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")

# Image library: TID 4020, TID 1600–1603
IMAGE_LIBRARY = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
IMAGE_LATERALITY = _dcm("111027", "Image Laterality")
IMAGE_VIEW = _dcm("111031", "Image View")
IMAGE_VIEW_MODIFIER = _dcm("111032", "Image View Modifier")
ORIENTATION_ROW = _dcm("111044", "Patient Orientation Row")
ORIENTATION_COLUMN = _dcm("111043", "Patient Orientation Column")
STUDY_DATE = _dcm("111060", "Study Date")
STUDY_TIME = _dcm("111061", "Study Time")
CONTENT_DATE = _dcm("111018", "Content Date")
CONTENT_TIME = _dcm("111019", "Content Time")
HORIZONTAL_SPACING = _dcm("111026", "Horizontal Pixel Spacing")
VERTICAL_SPACING = _dcm("111066", "Vertical Pixel Spacing")
POSITIONER_ANGLE = _dcm("112011", "Positioner Primary Angle")
PIXEL_ROWS = _dcm("110910", "Pixel Data Rows")
PIXEL_COLUMNS = _dcm("110911", "Pixel Data Columns")
MODALITY = _dcm("121139", "Modality")

# Mammography CAD: TID 4000–4018
CAD_REPORT = _dcm("111036", "Mammography CAD Report")
FINDINGS_SUMMARY = _dcm("111017", "CAD Processing and Findings Summary")
IMPRESSION_DESCRIPTION = _dcm("111033", "Impression Description")
INDIVIDUAL_IMPRESSION = _dcm("111034", "Individual Impression/Recommendation")
RENDERING_INTENT = _dcm("111056", "Rendering Intent")
PRESENTATION_REQUIRED = _dcm("111150", "Presentation Required: Rendering device is expected to present")
PRESENTATION_OPTIONAL = _dcm("111151", "Presentation Optional: Rendering device may present")
NOT_FOR_PRESENTATION = _dcm("111152", "Not for Presentation: Rendering device expected not to present")
SELECTED_REGION_DESCRIPTION = _dcm("111058", "Selected Region Description")
SINGLE_IMAGE_FINDING = _dcm("111059", "Single Image Finding")
CENTER = _dcm("111010", "Center")
OUTLINE = _dcm("111041", "Outline")
COMPOSITE_FEATURE = _dcm("111015", "Composite Feature")
COMPOSITE_TYPE = _dcm("111016", "Composite Type")
RELATED_SPATIALLY = _dcm("111154", "Target content items are related spatially")
SCOPE_OF_FEATURE = _dcm("111057", "Scope of Feature")
ON_MULTIPLE_IMAGES = _dcm("111158", "Feature detected on multiple images")
SUMMARY_OF_DETECTIONS = _dcm("111064", "Summary of Detections")
SUCCESSFUL_DETECTIONS = _dcm("111063", "Successful Detections")
FAILED_DETECTIONS = _dcm("111025", "Failed  Detections")
DETECTION_PERFORMED = _dcm("111022", "Detection Performed")
SUMMARY_OF_ANALYSES = _dcm("111065", "Summary of Analyses")
SUCCESSFUL_ANALYSES = _dcm("111062", "Successful Analyses")
FAILED_ANALYSES = _dcm("111024", "Failed  Analyses")
ANALYSIS_PERFORMED = _dcm("111004", "Analysis Performed")
OVERALL_IMPRESSION_ANALYSIS = _dcm("111234", "Overall Impression / Recommendation Analysis")
COMPOSITION_ANALYSIS = _sct("133890006", "Breast composition analysis")

# CID 6047 and CID 6042
ALL_WITHOUT_FINDINGS = _dcm("111241", "All algorithms succeeded; without findings")
ALL_WITH_FINDINGS = _dcm("111242", "All algorithms succeeded; with findings")
SOME_WITHOUT_FINDINGS = _dcm("111243", "Not all algorithms succeeded; without findings")
SOME_WITH_FINDINGS = _dcm("111244", "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED = _dcm("111245", "No algorithms succeeded; without findings")
SUCCEEDED = _dcm("111222", "Succeeded")
PARTIALLY_SUCCEEDED = _dcm("111223", "Partially Succeeded")
FAILED = _dcm("111224", "Failed")
NOT_ATTEMPTED = _dcm("111225", "Not Attempted")

# Scores
PROBABILITY_OF_CANCER = _dcm("111047", "Probability of cancer")
CERTAINTY_OF_FINDING = _dcm("111012", "Certainty of Finding")
CERTAINTY_OF_IMPRESSION = _dcm("111013", "Certainty of impression")
PERCENT = Code("%", "UCUM", "Percent")
MILLIMETER = Code("mm", "UCUM", "millimeter")
DEGREE = Code("deg", "UCUM", "deg")
NO_UNITS = Code("1", "UCUM", "no units")
PIXELS = Code("{pixels}", "UCUM", "pixels")
IMAGES = Code("{images}", "UCUM", "{images}")

# Measurement report: TID 1500, 1501, 1410
MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UID = _dcm("112040", "Tracking Unique Identifier")
FINDING = _dcm("121071", "Finding")
FINDING_SITE = _sct("363698007", "Finding Site")
BREAST = _sct("76752008", "Breast")
LATERALITY = _sct("272741003", "Laterality")
BILATERAL = _sct("51440002", "Bilateral")
IMAGE_REGION = _dcm("111030", "Image Region")
SOURCE_OF_MEASUREMENT = _dcm("121112", "Source of Measurement")
COMMENT = _dcm("121106", "Comment")
MAMMOGRAPHY = _dcm("MG", "Mammography")

# Key object selection: TID 2010
OF_INTEREST = _dcm("113000", "Of Interest")
REJECTED_FOR_QUALITY = _dcm("113001", "Rejected for Quality Reasons")
KEY_OBJECT_DESCRIPTION = _dcm("113012", "Key Object Description")

# Breast composition: CID 6000
BREAST_COMPOSITION = _sct("129715009", "Breast composition")

# Private
TRIAGE_CATEGORY = _private("TRIAGE", "AI triage category")
BAND = _private("BAND", "Screening population tenth (1-10)")
PERCENTILE = _private("PERCENTILE", "Percentile in the reference population")
VIEWS_NOT_READ = _private("VIEWS_NOT_READ", "Views not read")
REASON = _private("REASON", "Reason not read by AI")
REASON_LEFT_OUT = _private("LEFT_OUT", "Reason an image was left out")
CATEGORIES = {
    Category.NEGATIVE: _private("NEGATIVE", "AI triage: negative"),
    Category.INDETERMINATE: _private("INDETERMINATE", "AI triage: indeterminate"),
    Category.SUSPICIOUS: _private("SUSPICIOUS", "AI triage: suspicious"),
    Category.NOT_READ: _private("NOT_READ", "Not read by AI: there is no AI result"),
}

# Purposes of reference
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")
SOURCE_IMAGE = _dcm("121322", "Source image for image processing operation")

FINDING_TYPES = {  # CID 6014
    FindingType.SOFT_TISSUE: _sct("129793001", "Mammography breast density"),
    FindingType.CALCIFICATION_CLUSTER: _sct("129769006", "Calcification Cluster"),
    FindingType.ARCHITECTURAL_DISTORTION: _sct("129792006", "Architectural distortion of breast"),
    FindingType.SUSPICIOUS_REGION: _dcm("111099", "Selected region"),
}
COMPOSITIONS = {  # CID 6000
    BreastComposition.A: _sct("129716005", "Almost entirely fat"),
    BreastComposition.B: _sct("129717001", "Scattered fibroglandular densities"),
    BreastComposition.C: _sct("129718006", "Heterogeneously dense"),
    BreastComposition.D: _sct("129719003", "Extremely dense"),
}
SIDES = {  # CID 244
    ImageLaterality.RIGHT: _sct("24028007", "Right"),
    ImageLaterality.LEFT: _sct("7771000", "Left"),
}
BREASTS = {  # CID 6022
    ImageLaterality.RIGHT: _sct("73056007", "Right breast"),
    ImageLaterality.LEFT: _sct("80248007", "Left breast"),
}
VIEWS = {  # CID 4014
    ViewPosition.CC: _sct("399162004", "cranio-caudal"),
    ViewPosition.MLO: _sct("399368009", "medio-lateral oblique"),
}


def every() -> list[Code]:
    """Every code of this module."""
    found: list[Code] = []
    for value in list(globals().values()):
        candidates = value.values() if isinstance(value, dict) else [value]
        found += [candidate for candidate in candidates if isinstance(candidate, Code)]
    return found


def reason_code(code: ReasonCode) -> Code:
    """Why an exam or an image was not read, in the private scheme."""
    return _private(code.value, code.sentence)


def exam_score(algorithm: Algorithm) -> Code:
    """The concept of an exam's or breast's score: a probability only when the algorithm is calibrated."""
    return PROBABILITY_OF_CANCER if algorithm.calibrated else CERTAINTY_OF_IMPRESSION


def finding_score(algorithm: Algorithm) -> Code:
    """The concept of a finding's score: a probability only when the algorithm is calibrated."""
    return PROBABILITY_OF_CANCER if algorithm.calibrated else CERTAINTY_OF_FINDING
