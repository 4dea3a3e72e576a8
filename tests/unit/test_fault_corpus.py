"""Every fault of the corpus gets its exact code and never NEGATIVE; no good exam is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from ai import bundle
from ai.calibration import OperatingPoints
from ai.eligibility import Eligible, Ineligible, judge, judge_view
from ai.exam import Exam, View
from ai.findings import Category, Reading
from ai.inference import Engine
from ai.models import ViewOutput, demo_net
from ai.reasons import ReasonCode
from tests.support import shared_data
from tests.support_corpus import RULES, headers, later, looked_at, stored, uids, whole_exam
from tests.support_faults import EXAM_FAULTS, VIEW_FAULTS, ExamFault, Fault, SeenIn, of_file
from tests.support_models import Broken

HEADER_FAULTS = [fault for fault in VIEW_FAULTS if fault.seen_in is SeenIn.HEADER]
PIXEL_FAULTS = [fault for fault in VIEW_FAULTS if fault.seen_in is SeenIn.PIXELS]
#: The system's own codes, and where each is brought about for real.
ELSEWHERE = {
    ReasonCode.READER_FAILED: "tests/faults/test_decoder_crash.py",
    ReasonCode.OUT_OF_MEMORY: "tests/faults/test_reader.py",
    ReasonCode.MODEL_FAILED: "test_a_model_that_fails, here",
    ReasonCode.INSTANCE_UNREADABLE: "test_a_file_that_is_not_the_image, here",
    ReasonCode.REPEAT: "tests/unit/test_good_exams.py",
}
by_name = {"ids": lambda fault: fault.name}


# --- the corpus itself


def test_the_corpus_is_large_and_leaves_no_code_out() -> None:
    names = [fault.name for fault in (*VIEW_FAULTS, *EXAM_FAULTS)]
    assert len(names) == len(set(names)) >= 60
    produced = {fault.code for fault in (*VIEW_FAULTS, *EXAM_FAULTS)} | set(ELSEWHERE)
    assert produced == set(ReasonCode), f"no fault for {sorted(set(ReasonCode) - produced)}"


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_code_has_its_words(code: ReasonCode) -> None:
    assert code == code.name
    assert 0 < len(code.sentence) <= 64, "it is a Code Meaning (LO, PS3.5 6.2)"
    assert code.advice, "nobody is told what to do about it"


# --- faults seen in the header


@pytest.mark.parametrize("fault", HEADER_FAULTS, **by_name)
def test_a_spoiled_view_is_refused_and_without_it_nothing_is_read(fault: Fault) -> None:
    datasets = headers()
    fault.spoil(datasets[0])
    reason = judge_view(View.from_dataset(datasets[0]), RULES)
    assert reason is not None, "it was not refused"
    assert reason.code is fault.code
    verdict = judge(Exam.from_datasets(datasets), RULES)
    assert isinstance(verdict, Ineligible)
    assert verdict.reasons[0].code is ReasonCode.VIEWS_MISSING
    assert (fault.code, datasets[0].SOPInstanceUID) in {
        (each.code, each.sop_instance_uid) for each in (*verdict.reasons, *verdict.left_out)
    }


@pytest.mark.parametrize("fault", HEADER_FAULTS, **by_name)
def test_a_spoiled_extra_is_left_out_and_changes_nothing(fault: Fault) -> None:
    datasets = headers()
    extra = later(headers()[0], 7)
    fault.spoil(extra)
    verdict = judge(Exam.from_datasets([*datasets, extra]), RULES)
    assert isinstance(verdict, Eligible)
    assert [str(view.sop_instance_uid) for view in verdict.views.values()] == uids()
    assert [reason.code for reason in verdict.left_out] == [fault.code]


@pytest.mark.parametrize("fault", EXAM_FAULTS, **by_name)
def test_a_spoiled_exam_is_refused(fault: ExamFault) -> None:
    datasets = headers()
    fault.spoil(datasets)
    verdict = judge(Exam.from_datasets(datasets), RULES)
    assert isinstance(verdict, Ineligible)
    assert verdict.reasons[0].code is fault.code
    assert verdict.reasons[0].sop_instance_uid == ""


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MG-Im-GE_Seno_1_ForProcessing.dcm", ReasonCode.FOR_PROCESSING),
        ("MG-Im-Hologic-PropProj.dcm", ReasonCode.SECONDARY_CAPTURE),
    ],
)
def test_real_headers_that_may_not_be_read(name: str, code: ReasonCode) -> None:
    header = of_file(shared_data("dicom"), name)
    reason = judge_view(View.from_dataset(header), RULES)
    assert reason is not None
    assert reason.code is code


def test_what_is_wrong_with_the_real_headers_besides() -> None:
    """The first reason hides others; each holds once those before it are mended."""
    raw = of_file(shared_data("dicom"), "MG-Im-GE_Seno_1_ForProcessing.dcm")
    raw.SOPClassUID, raw.PresentationIntentType = "1.2.840.10008.5.1.4.1.1.1.2", "FOR PRESENTATION"
    flat = of_file(shared_data("dicom"), "MG-Im-Hologic-PropProj.dcm")
    flat.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    found = [judge_view(View.from_dataset(header), RULES) for header in (raw, flat)]
    assert [reason.code for reason in found if reason] == [ReasonCode.MATRIX_SIZE, ReasonCode.QUALITY_CONTROL_IMAGE]


def test_the_real_mammogram_may_be_read() -> None:
    header = of_file(shared_data("dicom"), "ge_essential_rmlo_jpeg_lossless.dcm")
    view = View.from_dataset(header)
    assert judge_view(view, RULES) is None
    assert str(view.standard_view) == "R MLO"


# --- faults seen in the pixels


@pytest.mark.parametrize("fault", PIXEL_FAULTS, **by_name)
def test_spoiled_pixels_are_refused_in_place_of_a_view_and_left_out_as_a_repeat(fault: Fault, tmp_path: Path) -> None:
    drawn = whole_exam()
    spoiled = later(whole_exam()[0], 7)
    fault.spoil(spoiled)
    in_place = looked_at(*stored(tmp_path, [spoiled, *drawn[1:]]))
    assert isinstance(in_place, Ineligible)
    assert [reason.code for reason in in_place.reasons] == [ReasonCode.VIEWS_MISSING, fault.code]
    as_repeat = looked_at(*stored(tmp_path, [*drawn, spoiled]))
    assert isinstance(as_repeat, Eligible)
    assert [view.sop_instance_uid for view in as_repeat.views.values()] == uids()
    assert [reason.code for reason in as_repeat.left_out] == [fault.code]


# --- through the engine, a fault of each code


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine([bundle.DEMO], operating_points=OperatingPoints())


def read(engine: Engine, folder: Path, datasets: Iterable[Dataset]) -> Reading:
    exam, files = stored(folder, datasets)
    return engine.read(exam, files, revision=1).reading


ONE_PER_CODE = list({fault.code: fault for fault in VIEW_FAULTS}.values())


@pytest.mark.parametrize("fault", ONE_PER_CODE, **by_name)
def test_no_faulty_exam_ends_negative(fault: Fault, engine: Engine, tmp_path: Path) -> None:
    drawn = whole_exam()
    spoiled = later(whole_exam()[0], 7)
    fault.spoil(spoiled)
    reading = read(engine, tmp_path, [spoiled, *drawn[1:]])
    assert reading.category is Category.NOT_READ
    assert reading.eligibility_version == RULES.version
    assert fault.code in {reason.code for reason in (*reading.reasons, *reading.left_out)}


@pytest.mark.parametrize("fault", EXAM_FAULTS[::3], **by_name)
def test_no_faulty_exam_ends_negative_either(fault: ExamFault, engine: Engine, tmp_path: Path) -> None:
    datasets = whole_exam()
    fault.spoil(datasets)
    reading = read(engine, tmp_path, datasets)
    assert (reading.category, reading.reasons[0].code) == (Category.NOT_READ, fault.code)


def test_a_bad_extra_leaves_the_reading_as_it_was(engine: Engine, tmp_path: Path) -> None:
    drawn = whole_exam()
    plain = read(engine, tmp_path, drawn)
    assert plain.category is not Category.NOT_READ
    extras = []
    for number, fault in enumerate(ONE_PER_CODE, start=1):
        extras.append(later(whole_exam()[number % 4], number))
        try:
            fault.spoil(extras[-1])
        except (ValueError, KeyError):  # a fault made for the first view may not fit another
            extras.pop()
    crowded = read(engine, tmp_path, [*drawn, *extras])
    assert (crowded.score, crowded.band, crowded.inputs) == (plain.score, plain.band, plain.inputs)
    assert len(crowded.left_out) == len(extras)


def test_a_file_that_is_not_the_image(engine: Engine, tmp_path: Path) -> None:
    drawn = whole_exam()
    exam, files = stored(tmp_path, drawn)
    swapped = {**files, str(drawn[0].SOPInstanceUID): files[str(drawn[1].SOPInstanceUID)]}
    reading = engine.read(exam, swapped, revision=1).reading
    assert [each.code for each in reading.reasons] == [ReasonCode.VIEWS_MISSING, ReasonCode.INSTANCE_UNREADABLE]


def test_a_model_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Sequence[object]) -> list[ViewOutput]:
        raise ValueError("no such shape")

    monkeypatch.setattr(demo_net, "build", lambda card, weights, device: Broken(fail))
    reading = read(Engine([bundle.DEMO], operating_points=OperatingPoints()), tmp_path, whole_exam())
    assert (reading.category, reading.reasons[0].code) == (Category.NOT_READ, ReasonCode.MODEL_FAILED)
