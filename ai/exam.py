"""What is read: an exam and its views. `View.from_dataset` is the only door from DICOM.

A `View` is one mammography image instance as its header tells it; it may be unreadable (see
`ai.eligibility`), so laterality and view position may be absent. Element tags: PS3.6; modules: PS3.3 C.8.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydicom.dataset import Dataset


class ImageLaterality(StrEnum):
    """Image Laterality (0020,0062): which breast. Not Laterality (0020,0060), which is of the series."""

    RIGHT = "R"
    LEFT = "L"


class ViewPosition(StrEnum):
    """The two views of a screening exam (CID 4014); anything else is not a standard view."""

    CC = "CC"
    MLO = "MLO"


# CID 4014 View for Mammography: SCT and the retired SRT codes of the two screening views.
VIEW_CODES = {
    "399162004": ViewPosition.CC,
    "R-10242": ViewPosition.CC,
    "399368009": ViewPosition.MLO,
    "R-10226": ViewPosition.MLO,
}


@dataclass(frozen=True, slots=True, order=True)
class StandardView:
    """One of the four views of a screening exam, e.g. R CC."""

    image_laterality: ImageLaterality
    view_position: ViewPosition

    def __str__(self) -> str:
        return f"{self.image_laterality} {self.view_position}"


#: In mammography hanging order: R CC | L CC above R MLO | L MLO.
STANDARD_VIEWS = tuple(
    StandardView(laterality, position) for position in ViewPosition for laterality in ImageLaterality
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One image instance, as its header describes it. Text elements are stripped; absent ones are "" or None.

    rows, columns, bits: of the stored image. imager_pixel_spacing_mm: (row, column) at the detector.
    view_modifiers: code values of CID 4015. acquired_at: DICOM DT string, sorts repeats.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    image_laterality: ImageLaterality | None = None
    view_position: ViewPosition | None = None
    view_modifiers: tuple[str, ...] = ()
    presentation_intent_type: str = ""
    photometric_interpretation: str = ""
    samples_per_pixel: int = 1
    number_of_frames: int = 1
    rows: int = 0
    columns: int = 0
    bits_allocated: int = 0
    bits_stored: int = 0
    pixel_representation: int = 0
    pixel_padding_value: int | None = None
    imager_pixel_spacing_mm: tuple[float, float] | None = None
    lossy_image_compression: bool = False
    burned_in_annotation: bool = False
    quality_control_image: bool = False
    specimen: bool = False
    breast_implant_present: bool = False
    partial_view: bool = False
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    software_versions: tuple[str, ...] = ()
    acquired_at: str = ""
    study_date: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""

    @property
    def standard_view(self) -> StandardView | None:
        """R CC, L CC, R MLO or L MLO, or None where the header names no such view."""
        if self.image_laterality is None or self.view_position is None:
            return None
        return StandardView(self.image_laterality, self.view_position)

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Self:
        """Read a header (pixel data not needed). Tolerant: a bad element reads as absent, never raises for it.

        Raises ValueError when an identifying UID is missing, naming the element.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """A study when read: its views (readable or not) and the woman's earlier exams, newest first."""

    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    accession_number: str
    study_date: str
    views: tuple[View, ...]
    priors: tuple[Exam, ...] = ()

    @classmethod
    def from_datasets(cls, datasets: Iterable[Dataset], priors: Iterable[Exam] = ()) -> Self:
        """An exam from the headers of one study's instances.

        Raises ValueError when there is none, or when they belong to more than one study.
        """
        raise NotImplementedError
