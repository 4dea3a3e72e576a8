"""The corpus of faults: what may be wrong with an image or an exam, how to break a good one so, and the exact code.

A view fault spoils one image. In place of a view it makes the exam NOT_READ; as an extra it is left out. An exam
fault concerns all of it. `seen_in` tells how far one must look: the header, the pixels, or the stored file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
)

from ai.phantom.encoding import set_pixels
from ai.reasons import ReasonCode
from tests.support_pixels import fragmented

Spoil = Callable[[Dataset], None]
SpoilExam = Callable[[list[Dataset]], None]


class SeenIn(Enum):
    """Where a fault shows."""

    HEADER = "header"
    PIXELS = "pixels"
    FILE = "file"


@dataclass(frozen=True)
class Fault:
    """One way an image can be unfit. touched: keywords that carry the fault."""

    name: str
    code: ReasonCode
    spoil: Spoil
    seen_in: SeenIn = SeenIn.HEADER
    touched: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExamFault:
    """One way an exam can be unfit; what its first reason is."""

    name: str
    code: ReasonCode
    spoil: SpoilExam


def coded(value: str, meaning: str = "meaning", scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


# ---------------------------------------------------------------- headers


def elements(name: str, code: ReasonCode, **values: object) -> Fault:
    """Elements set by keyword, or removed by None."""

    def spoil(dataset: Dataset) -> None:
        with disable_value_validation():
            for keyword, value in values.items():
                if value is None and keyword in dataset:
                    delattr(dataset, keyword)
                elif value is not None:
                    setattr(dataset, keyword, value)

    return Fault(name, code, spoil, touched=tuple(values))


def sop_class(name: str, code: ReasonCode, uid: str, **values: object) -> Fault:
    return elements(name, code, SOPClassUID=uid, **values)


def syntax(name: str, code: ReasonCode, uid: str) -> Fault:
    def spoil(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = uid

    return Fault(name, code, spoil, touched=("TransferSyntaxUID",))


def view(name: str, code: str, scheme: str = "SCT") -> Fault:
    """Another view, coded; the text still says a standard one."""

    def spoil(dataset: Dataset) -> None:
        dataset.ViewCodeSequence = Sequence([coded(code, name, scheme)])

    return Fault(f"view {name}", ReasonCode.NOT_STANDARD_VIEW, spoil, touched=("ViewCodeSequence", "ViewPosition"))


def modifier(name: str, code: str, scheme: str = "SCT") -> Fault:
    def spoil(dataset: Dataset) -> None:
        dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([coded(code, name, scheme)])

    return Fault(f"modifier {name}", ReasonCode.VIEW_MODIFIER, spoil, touched=("ViewCodeSequence",))


def text_view(text: str) -> Fault:
    """No code, and a text that is no standard view."""
    return elements(f"text-only view '{text}'", ReasonCode.NOT_STANDARD_VIEW, ViewCodeSequence=None, ViewPosition=text)


def _two_views(dataset: Dataset) -> None:
    dataset.ViewCodeSequence = Sequence([coded("399162004"), coded("399368009")])


def _modifier_beside(dataset: Dataset) -> None:
    dataset.ViewModifierCodeSequence = Sequence([coded("399163009", "Magnification")])


def _modifier_without_code(dataset: Dataset) -> None:
    named = Dataset()
    named.CodeMeaning = "Spot compression"
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([named])


def _garbled_rows(dataset: Dataset) -> None:
    dataset[Tag(0x00280010)] = RawDataElement(Tag(0x00280010), "US", 1, b"\x01", 0, False, True)


def _kinds() -> Iterable[Fault]:
    code = ReasonCode.NOT_MAMMOGRAPHY
    yield elements("ultrasound", code, Modality="US")
    yield elements("no modality", code, Modality=None)
    yield sop_class("DX image class", code, DigitalXRayImageStorageForPresentation)
    yield sop_class("CR image class", code, ComputedRadiographyImageStorage)
    yield sop_class("MR image", code, MRImageStorage, Modality="MR")
    yield sop_class("angiography class", code, XRayAngiographicImageStorage)
    yield sop_class("private class", code, "1.2.826.0.1.3680043.10.999.500")
    code = ReasonCode.FOR_PROCESSING
    yield sop_class("For Processing class", code, DigitalMammographyXRayImageStorageForProcessing)
    yield elements("For Processing intent", code, PresentationIntentType="FOR PROCESSING")
    code = ReasonCode.TOMOSYNTHESIS
    yield sop_class("tomosynthesis", code, BreastTomosynthesisImageStorage, NumberOfFrames=40)
    yield sop_class("tomosynthesis, one slice", code, BreastTomosynthesisImageStorage)
    yield sop_class("tomosynthesis under the CT class", code, CTImageStorage)
    yield sop_class("tomosynthesis projection", code, BreastProjectionXRayImageStorageForPresentation)
    yield sop_class("raw tomosynthesis projection", code, BreastProjectionXRayImageStorageForProcessing)
    yield elements("several frames", code, NumberOfFrames=15)
    yield elements("Image Type TOMO_PROJ", code, ImageType=["ORIGINAL", "PRIMARY", "TOMO_PROJ"])
    yield elements("Image Type TOMOSYNTHESIS", code, ImageType=["DERIVED", "PRIMARY", "TOMOSYNTHESIS"])
    code = ReasonCode.SYNTHESIZED_2D
    yield elements("Image Type GENERATED_2D", code, ImageType=["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"])
    yield elements("Image Type TOMO_2D", code, ImageType=["DERIVED", "PRIMARY", "TOMO_2D"])
    yield elements("series called C-View", code, SeriesDescription="R CC C-View")
    yield elements("processing called Insight 2D", code, AcquisitionDeviceProcessingDescription="Insight 2D")
    code = ReasonCode.SECONDARY_CAPTURE
    yield sop_class("secondary capture", code, SecondaryCaptureImageStorage)
    yield sop_class("multi-frame secondary capture", code, MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    yield elements("digitised film by conversion", code, ConversionType="DF")
    yield elements("digitised film by detector", code, DetectorType="FILM")
    code = ReasonCode.CONTRAST_ENHANCED
    yield elements("contrast agent", code, ContrastBolusAgent="Iohexol")
    yield elements("subtracted energies", code, ImageType=["DERIVED", "PRIMARY", "SUBTRACTION"])


def _views() -> Iterable[Fault]:
    yield view("medio-lateral", "399260004")
    yield view("latero-medial", "399352003")
    yield view("exaggerated lateral", "399265009")
    yield view("exaggerated medial", "399163009")
    yield view("from below", "399196006")
    yield view("latero-medial oblique", "399099002")
    yield view("medio-lateral, retired code", "R-10224", "SRT")
    yield view("private view", "X1", "99TEST")
    yield text_view("ML")
    yield text_view("XCCL")
    yield text_view("FLATFIELD")
    yield elements("no view at all", ReasonCode.NOT_STANDARD_VIEW, ViewCodeSequence=None, ViewPosition=None)
    yield Fault("two views", ReasonCode.NOT_STANDARD_VIEW, _two_views, touched=("ViewCodeSequence", "ViewPosition"))
    yield modifier("magnification", "399163009")
    yield modifier("spot compression", "399055006")
    yield modifier("implant displaced", "399209000")
    yield modifier("tangential", "399110001")
    yield modifier("axillary tail", "399011000")
    yield modifier("rolled lateral", "399197002")
    yield modifier("spot compression, retired code", "R-102D7", "SRT")
    code = ReasonCode.VIEW_MODIFIER
    yield Fault("modifier beside the view", code, _modifier_beside, touched=("ViewModifierCodeSequence",))
    yield Fault("modifier without a code", code, _modifier_without_code, touched=("ViewCodeSequence",))
    yield elements("stereo pair", code, ImageType=["ORIGINAL", "PRIMARY", "STEREO_MINUS"])
    yield elements("magnified by 1.8", code, EstimatedRadiographicMagnificationFactor="1.8")
    yield elements("spot paddle", code, PaddleDescription="SPOT COMPRESSION 7.5CM")
    yield elements("biopsy paddle", code, PaddleDescription="5X5 BIOPSY")


def _marks() -> Iterable[Fault]:
    code = ReasonCode.LATERALITY_MISSING
    yield elements("no laterality", code, ImageLaterality=None)
    yield elements("both breasts", code, ImageLaterality="B")
    yield elements("laterality in words", code, ImageLaterality="RIGHT")
    code = ReasonCode.LATERALITY_CONTRADICTED
    yield elements("series of the other side", code, Laterality="L")
    yield elements("region coded as the other breast", code, AnatomicRegionSequence=Sequence([coded("80248007")]))
    yield elements("partial view", ReasonCode.PARTIAL_VIEW, PartialView="YES")
    yield elements("partial by its section", ReasonCode.PARTIAL_VIEW, PartialViewCodeSequence=Sequence([coded("1")]))
    yield elements("implant", ReasonCode.BREAST_IMPLANT, BreastImplantPresent="YES")
    yield elements("implant mark damaged", ReasonCode.BREAST_IMPLANT, BreastImplantPresent="YE5")
    yield elements("quality control", ReasonCode.QUALITY_CONTROL_IMAGE, QualityControlImage="YES")
    yield elements("phantom beside the breast", ReasonCode.QUALITY_CONTROL_IMAGE, QualityControlImage="BOTH")
    yield elements("specimen", ReasonCode.SPECIMEN, SpecimenDescriptionSequence=Sequence([Dataset()]))
    yield elements("specimen container", ReasonCode.SPECIMEN, ContainerIdentifier="BX-17")
    yield elements("burned-in annotation", ReasonCode.BURNED_IN_ANNOTATION, BurnedInAnnotation="YES")


def _encodings() -> Iterable[Fault]:
    code = ReasonCode.LOSSY_COMPRESSION
    yield elements("lossy once", code, LossyImageCompression="01")
    yield elements("lossy by its method", code, LossyImageCompressionMethod="ISO_15444_1")
    yield elements("lossy by its derivation", code, DerivationCodeSequence=Sequence([coded("113040", scheme="DCM")]))
    yield syntax("JPEG baseline", code, JPEGBaseline8Bit)
    yield syntax("JPEG extended", code, JPEGExtended12Bit)
    yield syntax("JPEG-LS near-lossless", code, JPEGLSNearLossless)
    yield syntax("JPEG 2000", code, JPEG2000)
    yield syntax("HTJ2K", code, HTJ2K)
    yield syntax("MPEG-4", ReasonCode.TRANSFER_SYNTAX, "1.2.840.10008.1.2.4.102")
    yield syntax("JPIP", ReasonCode.TRANSFER_SYNTAX, "1.2.840.10008.1.2.4.94")
    yield syntax("unknown transfer syntax", ReasonCode.TRANSFER_SYNTAX, "1.2.826.0.1.3680043.10.999.501")
    code = ReasonCode.PHOTOMETRIC_INTERPRETATION
    yield elements("colour", code, PhotometricInterpretation="RGB", SamplesPerPixel=3)
    yield elements("palette", code, PhotometricInterpretation="PALETTE COLOR")
    yield elements("three samples of grey", code, SamplesPerPixel=3)
    yield elements("no photometric interpretation", code, PhotometricInterpretation=None)
    code = ReasonCode.MATRIX_SIZE
    yield Fault("rows not readable", code, _garbled_rows, touched=("Rows",))
    yield elements("a thumbnail", code, Rows=256, Columns=200)
    yield elements("too many columns", code, Columns=30000)
    yield elements("no rows", code, Rows=None)
    code = ReasonCode.BIT_DEPTH
    yield elements("6 bits", code, BitsStored=6, HighBit=5)
    yield elements("32 bits allocated", code, BitsAllocated=32)
    yield elements("more bits stored than allocated", code, BitsAllocated=8, BitsStored=12)
    yield elements("no Bits Stored", code, BitsStored=None)
    code = ReasonCode.PIXEL_SPACING
    yield elements("no spacing", code, ImagerPixelSpacing=None)
    yield elements("spacing of a downscaled image", code, ImagerPixelSpacing=[0.4, 0.4])
    yield elements("oblong pixels", code, ImagerPixelSpacing=[0.1, 0.9])
    yield elements("spacing below 0", code, ImagerPixelSpacing=[-0.1, -0.1])


# ---------------------------------------------------------------- pixels and files


def values_of(dataset: Dataset) -> NDArray[np.uint16]:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)


def pixels(name: str, code: ReasonCode, change: Callable[[NDArray[np.uint16]], NDArray[Any]]) -> Fault:
    """Other stored values of the same size."""

    def spoil(dataset: Dataset) -> None:
        dataset.PixelData = change(values_of(dataset)).astype("<u2").tobytes()

    return Fault(name, code, spoil, SeenIn.PIXELS)


def stream(name: str, code: ReasonCode, uid: str, change: Callable[[bytes, NDArray[np.uint16]], bytes]) -> Fault:
    """Compressed in that syntax, and the frame altered."""

    def spoil(dataset: Dataset) -> None:
        values = values_of(dataset)
        set_pixels(dataset, values, uid)  # type: ignore[arg-type]
        frame = change(bytes(dataset.PixelData[20:]), values)  # after the offset table, the item's tag and length
        dataset.PixelData = fragmented(frame + b"\0" * (len(frame) % 2), ())
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True

    return Fault(name, code, spoil, SeenIn.PIXELS)


def _pixel_data(name: str, code: ReasonCode, change: Callable[[bytes], bytes | None]) -> Fault:
    def spoil(dataset: Dataset) -> None:
        changed = change(bytes(dataset.PixelData))
        if changed is None:
            del dataset.PixelData
        else:
            dataset.PixelData = changed

    return Fault(name, code, spoil, SeenIn.PIXELS)


def _pixel_faults() -> Iterable[Fault]:
    yield _pixel_data("no pixel data", ReasonCode.PIXEL_DATA_MISSING, lambda data: None)
    yield _pixel_data("empty pixel data", ReasonCode.PIXEL_DATA_MISSING, lambda data: b"")
    yield _pixel_data("half the pixel data", ReasonCode.PIXEL_DATA_SHORT, lambda data: data[: len(data) // 2])
    yield _pixel_data("twice the pixel data", ReasonCode.PIXEL_DATA_UNDECODABLE, lambda data: data * 2)
    short, undecodable = ReasonCode.PIXEL_DATA_SHORT, ReasonCode.PIXEL_DATA_UNDECODABLE
    yield stream("JPEG cut", short, JPEGLosslessSV1, lambda frame, _: frame[: len(frame) // 2])
    ended = b"\xff\xd9"
    yield stream("JPEG cut, with an end", short, JPEGLosslessSV1, lambda frame, _: frame[: len(frame) // 2] + ended)
    yield stream("JPEG-LS cut", short, JPEGLSLossless, lambda frame, _: frame[: len(frame) // 2])
    yield stream("JPEG 2000 cut", undecodable, JPEG2000Lossless, lambda frame, _: frame[: len(frame) // 2])
    yield stream("RLE cut", undecodable, RLELossless, lambda frame, _: frame[: len(frame) // 2])
    yield stream("noise for JPEG-LS", undecodable, JPEGLSLossless, lambda frame, _: bytes(range(256)) * 8)
    yield stream("nothing but an item", ReasonCode.PIXEL_DATA_MISSING, RLELossless, lambda frame, _: b"")
    yield stream("another size", undecodable, JPEGLosslessSV1, lambda _, v: imagecodecs.ljpeg_encode(v[:-1]))
    lossy = ReasonCode.LOSSY_COMPRESSION
    yield stream("lossy JPEG-LS as lossless", lossy, JPEGLSLossless, lambda _, v: imagecodecs.jpegls_encode(v, level=3))
    missing = ReasonCode.NO_BREAST_FOUND
    yield pixels("blank", missing, np.zeros_like)
    yield pixels("white", missing, lambda v: np.full_like(v, 4000))
    yield pixels("noise", missing, lambda v: np.random.default_rng(0).integers(0, 4096, v.shape))
    yield pixels("inverted, not saying so", missing, lambda v: 4095 - v)
    yield pixels("mirrored", ReasonCode.LATERALITY_CONTRADICTED, lambda v: v[:, ::-1])
    yield pixels("upside down", ReasonCode.LATERALITY_CONTRADICTED, lambda v: v[::-1, ::-1])


VIEW_FAULTS: tuple[Fault, ...] = (*_kinds(), *_views(), *_marks(), *_encodings(), *_pixel_faults())


# ---------------------------------------------------------------- exams


def every(**values: object) -> SpoilExam:
    """The same elements on all images."""
    fault = elements("", ReasonCode.NO_IMAGES, **values)

    def spoil(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            fault.spoil(dataset)

    return spoil


def one(**values: object) -> SpoilExam:
    """Elements of the last image alone."""
    fault = elements("", ReasonCode.NO_IMAGES, **values)
    return lambda datasets: fault.spoil(datasets[-1])


def without(*numbers: int) -> SpoilExam:
    """The exam without those images."""

    def spoil(datasets: list[Dataset]) -> None:
        datasets[:] = [each for number, each in enumerate(datasets) if number not in numbers]

    return spoil


EXAM_FAULTS = (
    ExamFault("two patients", ReasonCode.PATIENT_CONFLICT, one(PatientID="SOMEBODY-ELSE")),
    ExamFault("two issuers of IDs", ReasonCode.PATIENT_CONFLICT, one(IssuerOfPatientID="ELSEWHERE")),
    ExamFault("two dates of birth", ReasonCode.PATIENT_CONFLICT, one(PatientBirthDate="19500505")),
    ExamFault("an image without ID", ReasonCode.PATIENT_CONFLICT, one(PatientID=None)),
    ExamFault("another woman's ultrasound", ReasonCode.PATIENT_CONFLICT, one(PatientID="SOMEBODY-ELSE", Modality="US")),
    ExamFault("two study dates", ReasonCode.STUDY_DATE_CONFLICT, one(StudyDate="20230101")),
    ExamFault("a child", ReasonCode.PATIENT_AGE, every(PatientBirthDate="20200101")),
    ExamFault("born in 1850", ReasonCode.PATIENT_AGE, every(PatientBirthDate="18500101")),
    ExamFault("an age of days alone", ReasonCode.PATIENT_AGE, every(PatientBirthDate=None, PatientAge="001D")),
    ExamFault("a man", ReasonCode.PATIENT_SEX, every(PatientSex="M")),
    ExamFault("a sex that is none", ReasonCode.PATIENT_SEX, one(PatientSex="W")),
    *(ExamFault(f"image {n + 1} not taken", ReasonCode.VIEWS_MISSING, without(n)) for n in range(4)),
    ExamFault("one breast alone", ReasonCode.VIEWS_MISSING, without(1, 3)),
    ExamFault("all raw", ReasonCode.VIEWS_MISSING, every(PresentationIntentType="FOR PROCESSING")),
    ExamFault("ultrasound alone", ReasonCode.NO_IMAGES, every(Modality="US")),
    ExamFault("all of one breast", ReasonCode.VIEWS_MISSING, every(ImageLaterality="L")),
)


def of_file(folder: Path, name: str) -> Dataset:
    """A shared real object's header."""
    return dcmread(folder / name, stop_before_pixels=True)
