"""Why an exam, or one of its images, is not read, and what limits an answer: one code and one sentence each.

The codes travel in the SR (private coding scheme), the summary card, the API and the metrics,
so a code is never renamed or reused; new ones are appended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ReasonCode(StrEnum):
    """A reason code with the sentence a radiologist reads, and for whoever runs the node what to do about many."""

    sentence: str
    advice: str

    def __new__(cls, code: str, sentence: str = "", advice: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        member.advice = advice
        return member

    # one image
    NOT_MAMMOGRAPHY = (
        "NOT_MAMMOGRAPHY",
        "not a digital mammography image",
        "route such images past the reader, with a rule that only stores them",
    )
    FOR_PROCESSING = (
        "FOR_PROCESSING",
        "raw (For Processing) image; the model reads For Presentation",
        "have the modality send its For Presentation images too",
    )
    TOMOSYNTHESIS = (
        "TOMOSYNTHESIS",
        "tomosynthesis; the model reads projection images",
        "nothing, where projection images come beside it; else have the modality send them",
    )
    SYNTHESIZED_2D = (
        "SYNTHESIZED_2D",
        "synthesized 2D image; the model reads acquired projections",
        "have the modality acquire and send projection images, or use a model whose card allows synthesized 2D",
    )
    SECONDARY_CAPTURE = (
        "SECONDARY_CAPTURE",
        "secondary capture or digitised film",
        "route such images past the reader; a film cannot be read",
    )
    NOT_STANDARD_VIEW = (
        "NOT_STANDARD_VIEW",
        "not a CC or MLO view",
        "nothing, for additional views; for CC and MLO, correct the view in the modality's view table",
    )
    VIEW_MODIFIER = (
        "VIEW_MODIFIER",
        "view modifier present (magnification, spot, displaced, …)",
        "nothing, for additional views; for plain ones, correct the modality's view and paddle settings",
    )
    LATERALITY_MISSING = (
        "LATERALITY_MISSING",
        "image laterality missing or neither R nor L",
        "correct the side at the modality or PACS and send the image again",
    )
    PARTIAL_VIEW = (
        "PARTIAL_VIEW",
        "partial view of the breast",
        "nothing: a breast in several parts is for people to read",
    )
    BREAST_IMPLANT = (
        "BREAST_IMPLANT",
        "breast implant present",
        "nothing: the model knows no implants; if there is none, correct the modality's default",
    )
    QUALITY_CONTROL_IMAGE = (
        "QUALITY_CONTROL_IMAGE",
        "quality-control or phantom image",
        "keep test images out of patients' studies; if it is a patient, correct the modality's default",
    )
    SPECIMEN = (
        "SPECIMEN",
        "specimen or biopsy image",
        "nothing: specimens are for people to read",
    )
    BURNED_IN_ANNOTATION = (
        "BURNED_IN_ANNOTATION",
        "annotation burned into the pixels",
        "turn off burning marks into images at the modality; if there is none, correct its default",
    )
    LOSSY_COMPRESSION = (
        "LOSSY_COMPRESSION",
        "image was compressed with loss",
        "have modality and PACS send and keep images without loss",
    )
    PHOTOMETRIC_INTERPRETATION = (
        "PHOTOMETRIC_INTERPRETATION",
        "photometric interpretation not on the model card",
        "have the modality send grey images (MONOCHROME1 or MONOCHROME2)",
    )
    MATRIX_SIZE = (
        "MATRIX_SIZE",
        "rows or columns not on the model card",
        "have the original sent, neither scaled nor cropped",
    )
    BIT_DEPTH = (
        "BIT_DEPTH",
        "bit depth not on the model card",
        "have the original sent, in the depth it was acquired with",
    )
    PIXEL_SPACING = (
        "PIXEL_SPACING",
        "pixel spacing missing or not on the model card",
        "have the modality write Imager Pixel Spacing; an image that was scaled cannot be read",
    )
    PIXEL_DATA_MISSING = (
        "PIXEL_DATA_MISSING",
        "pixel data missing",
        "send the image again; ask whether the PACS kept it whole",
    )
    PIXEL_DATA_SHORT = (
        "PIXEL_DATA_SHORT",
        "pixel data shorter than rows × columns",
        "send the image again; ask whether the PACS kept it whole",
    )
    PIXEL_DATA_UNDECODABLE = (
        "PIXEL_DATA_UNDECODABLE",
        "pixel data cannot be decoded",
        "send the image again, uncompressed if it happens once more",
    )
    TRANSFER_SYNTAX = (
        "TRANSFER_SYNTAX",
        "transfer syntax cannot be decoded here",
        "have it sent in another transfer syntax, uncompressed if nothing else",
    )
    NO_BREAST_FOUND = (
        "NO_BREAST_FOUND",
        "no breast found in the pixels",
        "look at the image: blank, inverted or no breast; if it is a breast, report it to the maker",
    )
    LATERALITY_CONTRADICTED = (
        "LATERALITY_CONTRADICTED",
        "side of the breast contradicts the image laterality",
        "look at the image and correct the side, or the modality's flip, before anything else",
    )
    REPEAT = (
        "REPEAT",
        "another image of the same view was chosen",
        "nothing: the latest of the usable images is read",
    )
    # the exam
    NO_IMAGES = (
        "NO_IMAGES",
        "the study holds no mammography image",
        "route studies without mammograms past the reader",
    )
    VIEWS_MISSING = (
        "VIEWS_MISSING",
        "not all four standard views are readable",
        "see the images' own reasons; where there are none, the view was not taken or not sent",
    )
    PATIENT_CONFLICT = (
        "PATIENT_CONFLICT",
        "images of more than one patient in the study",
        "find out at once whose images these are, and have them corrected; nothing was sent",
    )
    STUDY_DATE_CONFLICT = (
        "STUDY_DATE_CONFLICT",
        "images of more than one study date in the study",
        "have the images of each visit put into a study of their own",
    )
    PATIENT_AGE = (
        "PATIENT_AGE",
        "patient's age not on the model card",
        "nothing, if the age is right; else correct the date of birth",
    )
    PATIENT_SEX = (
        "PATIENT_SEX",
        "patient's sex not on the model card",
        "nothing, if the sex is right; else correct it",
    )
    # the system
    READER_FAILED = (
        "READER_FAILED",
        "the reading process failed repeatedly on this exam",
        "read the log for these studies, keep the images, and report it to the maker",
    )
    MODEL_FAILED = (
        "MODEL_FAILED",
        "the model gave no usable output",
        "read the log for these studies, keep the images, and report it to the maker",
    )
    INSTANCE_UNREADABLE = (
        "INSTANCE_UNREADABLE",
        "a stored image file is missing or altered",
        "look for a failing disk or a hand in the object folder; send the images again",
    )
    # one image, again: codes are appended
    CONTRAST_ENHANCED = (
        "CONTRAST_ENHANCED",
        "contrast-enhanced image",
        "nothing: the model knows plain mammograms only",
    )
    # the system, again
    OUT_OF_MEMORY = (
        "OUT_OF_MEMORY",
        "not enough memory to read this exam",
        "give the reading process more memory, or lower reading.prefetch; then requeue these exams with --read",
    )


class CautionCode(StrEnum):
    """What limits an answer that was given, with the sentence a radiologist reads. Never renamed or reused."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    NO_REFERENCE_POPULATION = "NO_REFERENCE_POPULATION", "no reference population for this equipment"
    DRIFT_ALARM = "DRIFT_ALARM", "exams of this equipment have drifted from its reference population"


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


@dataclass(frozen=True, slots=True)
class Caution:
    """One limit of an answer: the code, and a detail that never holds a patient's name or ID."""

    code: CautionCode
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The code's sentence, with the detail where there is one."""
        return f"{self.code.sentence}: {self.detail}" if self.detail else self.code.sentence
