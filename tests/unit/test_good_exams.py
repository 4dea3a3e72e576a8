"""No good exam is refused: vendors, ways to write a header, extras of every kind beside the four views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.eligibility import Eligible, judge
from ai.exam import Exam
from ai.phantom import VENDOR_LOOKS, ExamSpec, Identity, VendorLook, simulate_exam
from ai.reasons import ReasonCode
from tests.support_corpus import RULES, headers, later, looked_at, stored
from tests.support_faults import coded, elements


def _text_only(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        del dataset.ViewCodeSequence


def _retired_codes(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        code = {"CC": "R-10242", "MLO": "R-10226"}[dataset.ViewPosition]
        dataset.ViewCodeSequence = Sequence([coded(code, scheme="SNM3")])
        dataset.ViewPosition = ""


def _extra(number: int, **values: object) -> Callable[[list[Dataset]], None]:
    def add(datasets: list[Dataset]) -> None:
        extra = later(headers()[0], number)
        elements("", ReasonCode.REPEAT, **values).spoil(extra)
        datasets.append(extra)

    return add


def _displaced(datasets: list[Dataset]) -> None:
    for number, extra in enumerate(headers()):
        later(extra, 20 + number)
        extra.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([coded("399209000", "Implant displaced")])
        datasets.append(extra)


def _tomosynthesis_beside(datasets: list[Dataset]) -> None:
    for number in range(4):
        for offset, changes in enumerate(
            (
                {"SOPClassUID": BreastTomosynthesisImageStorage, "NumberOfFrames": 60},
                {"ImageType": ["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"]},
                {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1", "PresentationIntentType": "FOR PROCESSING"},
            )
        ):
            extra = later(headers()[number], 30 + 10 * offset + number)
            elements("", ReasonCode.REPEAT, **changes).spoil(extra)
            datasets.append(extra)


def _set(**values: object) -> Callable[[list[Dataset]], None]:
    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            elements("", ReasonCode.REPEAT, **values).spoil(dataset)

    return change


def _syntax(uid: str) -> Callable[[list[Dataset]], None]:
    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            dataset.file_meta.TransferSyntaxUID = uid

    return change


#: name → how a good exam is made another good one, and how many images are then left out
GOOD: dict[str, tuple[Callable[[list[Dataset]], object], int]] = {
    "as it is": (lambda datasets: None, 0),
    "view as text alone": (_text_only, 0),
    "retired view codes": (_retired_codes, 0),
    "a repeat, later": (_extra(9), 1),
    "two repeats": (lambda datasets: [_extra(9)(datasets), _extra(10)(datasets)], 2),
    "an additional ML": (_extra(9, ViewCodeSequence=Sequence([coded("399260004")])), 1),
    "a spot view": (_extra(9, PaddleDescription="SPOT"), 1),
    "a specimen": (_extra(9, ContainerIdentifier="BX"), 1),
    "a flat field": (_extra(9, QualityControlImage="YES"), 1),
    "a screenshot": (_extra(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), 1),
    "an ultrasound": (_extra(9, Modality="US"), 1),
    "implant displaced extras": (_displaced, 4),
    "tomosynthesis, synthesized and raw beside": (_tomosynthesis_beside, 12),
    "no date of birth": (_set(PatientBirthDate=None, PatientAge=None), 0),
    "date of birth in the old form": (_set(PatientBirthDate="1964.02.29"), 0),
    "age without date of birth": (_set(PatientBirthDate=None, PatientAge="061Y"), 0),
    "sex other": (_set(PatientSex="O"), 0),
    "sex unknown": (_set(PatientSex=None), 0),
    "no issuer": (_set(IssuerOfPatientID=None), 0),
    "quiet marks": (
        _set(BreastImplantPresent=None, PartialView="", QualityControlImage=None, BurnedInAnnotation=""),
        0,
    ),
    "made by a workstation": (_set(ConversionType="WSD"), 0),
    "magnification factor of contact": (_set(EstimatedRadiographicMagnificationFactor="1.073"), 0),
    "no magnification factor": (_set(EstimatedRadiographicMagnificationFactor=None), 0),
    "ordinary paddle": (_set(PaddleDescription="24CM X 29CM SCREENING"), 0),
    "Laterality of the series agrees": (
        lambda datasets: [setattr(each, "Laterality", each.ImageLaterality) for each in datasets],
        0,
    ),
    "both breasts as region": (_set(AnatomicRegionSequence=Sequence([coded("63762007")])), 0),
    "no contrast, said so": (_set(ContrastBolusAgent="NONE"), 0),
    "premium view": (_set(AcquisitionDeviceProcessingDescription="PREMIUM_VIEW"), 0),
    "empty modifiers beside": (_set(ViewModifierCodeSequence=Sequence([])), 0),
    "one frame, said so": (_set(NumberOfFrames=1), 0),
    "no intent, class For Presentation": (_set(PresentationIntentType=None), 0),
    **{
        f"transfer syntax {uid.name}": (_syntax(uid), 0)
        for uid in (
            ImplicitVRLittleEndian,
            JPEGLosslessSV1,
            JPEGLSLossless,
            JPEG2000Lossless,
            HTJ2KLossless,
            RLELossless,
        )
    },
}


@pytest.mark.parametrize("name", GOOD)
def test_good_exams_are_read(name: str) -> None:
    datasets = headers()
    change, left_out = GOOD[name]
    change(datasets)
    verdict = judge(Exam.from_datasets(datasets), RULES)
    assert isinstance(verdict, Eligible), [(each.code, each.detail) for each in verdict.reasons]
    assert len(verdict.left_out) == left_out
    if "repeat" in name:
        assert {reason.code for reason in verdict.left_out} == {ReasonCode.REPEAT}


@pytest.mark.parametrize("look", VENDOR_LOOKS, ids=lambda look: look.name)
def test_every_vendors_exam_is_read_from_its_files(look: VendorLook, tmp_path: Path) -> None:
    """MONOCHROME1 among them, and all images in one series or each in its own."""
    spec = ExamSpec(
        name="",
        seed=11,
        identity=Identity(patient_name="X", patient_id="P-2"),
        look=look,
        pitch_mm=0.2,
        transfer_syntax_uid=JPEGLSLossless,
        with_for_processing=True,
    )
    verdict = looked_at(*stored(tmp_path, simulate_exam(spec).datasets))
    assert isinstance(verdict, Eligible)
    assert {reason.code for reason in verdict.left_out} == {ReasonCode.FOR_PROCESSING}
