"""Why an exam, or one of its images, is not read: one code and one sentence each.

The codes travel in the SR (private coding scheme), the summary card, the API and the metrics,
so a code is never renamed or reused; new ones are appended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ReasonCode(StrEnum):
    """A reason code with the sentence a radiologist reads; `scope` says what it refuses."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    # one image
    NOT_MAMMOGRAPHY = "NOT_MAMMOGRAPHY", "not a digital mammography image"
    FOR_PROCESSING = "FOR_PROCESSING", "raw (For Processing) image; the model reads For Presentation"
    TOMOSYNTHESIS = "TOMOSYNTHESIS", "tomosynthesis; the model reads projection images"
    SYNTHESIZED_2D = "SYNTHESIZED_2D", "synthesized 2D image; the model reads acquired projections"
    SECONDARY_CAPTURE = "SECONDARY_CAPTURE", "secondary capture or digitised film"
    NOT_STANDARD_VIEW = "NOT_STANDARD_VIEW", "not a CC or MLO view"
    VIEW_MODIFIER = "VIEW_MODIFIER", "view modifier present (magnification, spot, displaced, …)"
    LATERALITY_MISSING = "LATERALITY_MISSING", "image laterality missing or neither R nor L"
    PARTIAL_VIEW = "PARTIAL_VIEW", "partial view of the breast"
    BREAST_IMPLANT = "BREAST_IMPLANT", "breast implant present"
    QUALITY_CONTROL_IMAGE = "QUALITY_CONTROL_IMAGE", "quality-control or phantom image"
    SPECIMEN = "SPECIMEN", "specimen or biopsy image"
    BURNED_IN_ANNOTATION = "BURNED_IN_ANNOTATION", "annotation burned into the pixels"
    LOSSY_COMPRESSION = "LOSSY_COMPRESSION", "image was compressed with loss"
    PHOTOMETRIC_INTERPRETATION = "PHOTOMETRIC_INTERPRETATION", "photometric interpretation not on the model card"
    MATRIX_SIZE = "MATRIX_SIZE", "rows or columns not on the model card"
    BIT_DEPTH = "BIT_DEPTH", "bit depth not on the model card"
    PIXEL_SPACING = "PIXEL_SPACING", "pixel spacing missing or not on the model card"
    PIXEL_DATA_MISSING = "PIXEL_DATA_MISSING", "pixel data missing"
    PIXEL_DATA_SHORT = "PIXEL_DATA_SHORT", "pixel data shorter than rows × columns"
    PIXEL_DATA_UNDECODABLE = "PIXEL_DATA_UNDECODABLE", "pixel data cannot be decoded"
    TRANSFER_SYNTAX = "TRANSFER_SYNTAX", "transfer syntax cannot be decoded here"
    NO_BREAST_FOUND = "NO_BREAST_FOUND", "no breast found in the pixels"
    LATERALITY_CONTRADICTED = "LATERALITY_CONTRADICTED", "side of the breast in the pixels contradicts the laterality"
    REPEAT = "REPEAT", "another image of the same view was chosen"
    # the exam
    NO_IMAGES = "NO_IMAGES", "the study holds no mammography image"
    VIEWS_MISSING = "VIEWS_MISSING", "not all four standard views are readable"
    PATIENT_CONFLICT = "PATIENT_CONFLICT", "images of more than one patient in the study"
    STUDY_DATE_CONFLICT = "STUDY_DATE_CONFLICT", "images of more than one study date in the study"
    PATIENT_AGE = "PATIENT_AGE", "patient's age not on the model card"
    PATIENT_SEX = "PATIENT_SEX", "patient's sex not on the model card"
    # the system
    READER_FAILED = "READER_FAILED", "the reading process failed repeatedly on this exam"
    MODEL_FAILED = "MODEL_FAILED", "the model gave no usable output"
    INSTANCE_UNREADABLE = "INSTANCE_UNREADABLE", "a stored image file is missing or altered"
    # not why an exam is not read, but what limits the answer (`Reading.cautions`)
    NO_REFERENCE_POPULATION = "NO_REFERENCE_POPULATION", "no reference population for this equipment"


@dataclass(frozen=True, slots=True)
class Reason:
    """One refusal: the code, the image it concerns ("" for the exam), and a detail for the log.

    `detail` never holds a patient's name or ID.
    """

    code: ReasonCode
    sop_instance_uid: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The code's sentence, with the detail where there is one."""
        return f"{self.code.sentence}: {self.detail}" if self.detail else self.code.sentence
