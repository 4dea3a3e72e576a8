"""What is read: an exam and its views. `View.from_dataset` is the only door from DICOM.

A `View` is one mammography image instance as its header tells it; it may be unreadable (see
`ai.eligibility`), so laterality and view position may be absent. Element tags: PS3.6; modules: PS3.3 C.8.11.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydicom.dataset import Dataset

from ai import elements, view_marks


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
    view_modifiers: code values of CID 4015. acquired_at: DICOM DT string, sorts repeats. synthesized_2d,
    special_paddle, laterality_contradicted and the like: see `ai.view_marks`.
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
    digitised_film: bool = False
    contrast_enhanced: bool = False
    synthesized_2d: bool = False
    special_paddle: bool = False
    laterality_contradicted: bool = False
    magnification_factor: float | None = None
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    software_versions: tuple[str, ...] = ()
    acquired_at: str = ""
    study_date: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_age_years: int | None = None
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
        with _quiet():
            return cls._read(dataset)

    @classmethod
    def _read(cls, dataset: Dataset) -> Self:
        # Reading each element by keyword keeps this a table; defaults stand where the header is silent.
        laterality = _image_laterality(dataset)
        return cls(
            sop_instance_uid=_identifying_uid(dataset, "SOPInstanceUID"),
            sop_class_uid=_identifying_uid(dataset, "SOPClassUID"),
            series_instance_uid=_identifying_uid(dataset, "SeriesInstanceUID"),
            study_instance_uid=_identifying_uid(dataset, "StudyInstanceUID"),
            transfer_syntax_uid=elements.text(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID"),
            modality=elements.text(dataset, "Modality"),
            image_type=elements.texts(dataset, "ImageType"),
            image_laterality=laterality,
            view_position=_view_position(dataset),
            view_modifiers=_view_modifiers(dataset),
            presentation_intent_type=elements.text(dataset, "PresentationIntentType"),
            photometric_interpretation=elements.text(dataset, "PhotometricInterpretation"),
            samples_per_pixel=_or(elements.integer(dataset, "SamplesPerPixel"), 1),
            number_of_frames=_or(elements.integer(dataset, "NumberOfFrames"), 1),
            rows=_or(elements.integer(dataset, "Rows"), 0),
            columns=_or(elements.integer(dataset, "Columns"), 0),
            bits_allocated=_or(elements.integer(dataset, "BitsAllocated"), 0),
            bits_stored=_or(elements.integer(dataset, "BitsStored"), 0),
            pixel_representation=_or(elements.integer(dataset, "PixelRepresentation"), 0),
            pixel_padding_value=elements.integer(dataset, "PixelPaddingValue"),
            imager_pixel_spacing_mm=elements.lengths(dataset, "ImagerPixelSpacing"),
            lossy_image_compression=view_marks.lossy_compression(dataset),
            burned_in_annotation=elements.is_flagged(dataset, "BurnedInAnnotation"),
            quality_control_image=elements.is_flagged(dataset, "QualityControlImage"),
            specimen=view_marks.specimen(dataset),
            breast_implant_present=elements.is_flagged(dataset, "BreastImplantPresent"),
            partial_view=view_marks.partial_view(dataset),
            digitised_film=view_marks.digitised_film(dataset),
            contrast_enhanced=view_marks.contrast_enhanced(dataset),
            synthesized_2d=view_marks.synthesized_2d(dataset),
            special_paddle=view_marks.special_paddle(dataset),
            laterality_contradicted=view_marks.laterality_contradicted(dataset, laterality or ""),
            magnification_factor=elements.number(dataset, "EstimatedRadiographicMagnificationFactor"),
            manufacturer=elements.text(dataset, "Manufacturer"),
            manufacturer_model_name=elements.text(dataset, "ManufacturerModelName"),
            software_versions=elements.texts(dataset, "SoftwareVersions"),
            acquired_at=_acquired_at(dataset),
            study_date=elements.date(dataset, "StudyDate"),
            patient_id=elements.text(dataset, "PatientID"),
            issuer_of_patient_id=elements.text(dataset, "IssuerOfPatientID"),
            patient_birth_date=elements.date(dataset, "PatientBirthDate"),
            patient_age_years=view_marks.age_years(dataset),
            patient_sex=elements.text(dataset, "PatientSex"),
        )


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

        Views come in standard order (others last), repeats by time of acquisition, then by SOP Instance UID.
        The exam's identity is the first view's; that all views agree is for `ai.eligibility` to check.
        Raises ValueError when there is none, or when they belong to more than one study.
        """
        headers = [(View.from_dataset(dataset), _accession_number(dataset)) for dataset in datasets]
        if not headers:
            raise ValueError("an exam needs at least one image")
        if len({view.study_instance_uid for view, _ in headers}) > 1:
            raise ValueError("the images belong to more than one study")
        headers.sort(key=lambda header: _view_order(header[0]))
        first = headers[0][0]
        return cls(
            study_instance_uid=first.study_instance_uid,
            patient_id=first.patient_id,
            issuer_of_patient_id=first.issuer_of_patient_id,
            accession_number=next((accession for _, accession in headers if accession), ""),
            study_date=next((view.study_date for view, _ in headers if view.study_date), ""),
            views=tuple(view for view, _ in headers),
            priors=tuple(sorted(priors, key=lambda prior: (prior.study_date, prior.study_instance_uid), reverse=True)),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    # pydicom warns of values outside their VR when they are touched; they are judged here, not shown.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _accession_number(dataset: Dataset) -> str:
    with _quiet():
        return elements.text(dataset, "AccessionNumber")


def _identifying_uid(dataset: Dataset, keyword: str) -> str:
    uids = elements.texts(dataset, keyword)
    if len(uids) != 1 or not uids[0]:
        raise ValueError(f"{keyword} is missing or unreadable")
    return uids[0]


def _or(number: int | None, default: int) -> int:
    return default if number is None else number


def _image_laterality(dataset: Dataset) -> ImageLaterality | None:
    found = elements.text(dataset, "ImageLaterality").upper()
    return ImageLaterality(found) if found in set(ImageLaterality) else None


def _view_position(dataset: Dataset) -> ViewPosition | None:
    """The View Code Sequence (0054,0220) decides; the text View Position (0018,5101) only where it has no code."""
    codes = [code for item in elements.items(dataset, "ViewCodeSequence") if (code := elements.code_value(item))]
    if codes:
        return VIEW_CODES.get(codes[0]) if len(codes) == 1 else None
    found = elements.text(dataset, "ViewPosition").upper()
    return ViewPosition(found) if found in set(ViewPosition) else None


def _view_modifiers(dataset: Dataset) -> tuple[str, ...]:
    """Modifiers stand inside the view's code item (PS3.3 C.8.11.7); some systems put them beside it.

    One without a readable code is kept by its meaning, or as "unknown": a modified view must not pass as plain.
    """
    holders = (*elements.items(dataset, "ViewCodeSequence"), dataset)
    return tuple(
        elements.code_value(item) or elements.text(item, "CodeMeaning") or "unknown"
        for holder in holders
        for item in elements.items(holder, "ViewModifierCodeSequence")
    )


def _acquired_at(dataset: Dataset) -> str:
    """The moment of exposure, or of the content where that is not told; without a time of day, the date alone."""
    acquisition_date, content_date = elements.date(dataset, "AcquisitionDate"), elements.date(dataset, "ContentDate")
    acquisition_time, content_time = elements.time(dataset, "AcquisitionTime"), elements.time(dataset, "ContentTime")
    if acquisition_date and acquisition_time:
        return acquisition_date + acquisition_time
    if moment := elements.date_time(dataset, "AcquisitionDateTime"):
        return moment
    if content_date and content_time:
        return content_date + content_time
    return acquisition_date or content_date


def _view_order(view: View) -> tuple[int, str, str]:
    standard_view = view.standard_view
    place = len(STANDARD_VIEWS) if standard_view is None else STANDARD_VIEWS.index(standard_view)
    return place, view.acquired_at, view.sop_instance_uid
