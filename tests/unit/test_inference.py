"""The reading engine: a stored exam → a Reading with previews; whatever is wrong, an answer that says so."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from ai import bundle
from ai.bundle import Bundle, BundleError
from ai.calibration import OperatingPoints
from ai.eligibility import EligibilityRules, Span
from ai.exam import STANDARD_VIEWS, Exam
from ai.extensions import NoSuchExtension
from ai.findings import Category, Reading
from ai.inference import Engine
from ai.models import ViewOutput, breast_density, demo_net
from ai.reasons import CautionCode, ReasonCode
from ai.self_check import SelfCheck, SelfCheckFailed, answers
from ai.sources import MOST_PREVIEWS
from tests import support_exams
from tests.support_models import MODEL, Broken

DEFAULT = OperatingPoints()


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A composition bundle with untrained weights."""
    folder = tmp_path_factory.mktemp("composition")
    weights = breast_density.fresh(1)
    model = breast_density.build(breast_density.CARD, weights)
    bundle.write(
        folder,
        card=breast_density.CARD,
        weights=weights,
        eligibility=EligibilityRules(),
        self_check=SelfCheck(expected=answers(model, breast_density.CARD.task)),
    )
    return folder


@pytest.fixture(scope="module")
def engine(composition: Path) -> Engine:
    return Engine([bundle.DEMO, composition], operating_points=DEFAULT)


@dataclass(frozen=True)
class Stored:
    """An exam on disk."""

    exam: Exam
    files: Mapping[str, Path]


def stored(folder: Path, datasets: list[Dataset]) -> Stored:
    files = {}
    for number, dataset in enumerate(datasets):
        path = folder / f"{number}.dcm"
        path.write_bytes(support_exams.as_file(dataset))
        files[str(dataset.SOPInstanceUID)] = path
    return Stored(Exam.from_datasets(datasets), files)


def read(engine: Engine, given: Stored) -> Reading:
    return engine.read(given.exam, given.files, revision=1).reading


def codes(reading: Reading) -> list[ReasonCode]:
    return [reason.code for reason in reading.reasons]


def test_an_exam_is_read_whole_and_says_what_it_was_made_from(engine: Engine, tmp_path: Path) -> None:
    given = stored(tmp_path, support_exams.grained(support_exams.exam()))
    outcome = engine.read(given.exam, given.files, revision=4)
    reading, card = outcome.reading, Bundle.load(bundle.DEMO).card
    assert reading.category is not Category.NOT_READ
    assert reading.score is not None
    assert 0 <= reading.score <= 1
    assert reading.revision == 4
    assert reading.study_instance_uid == support_exams.STUDY
    assert DEFAULT.category(reading.percentile or 0.0) is Category.NEGATIVE
    assert reading.category is Category.INDETERMINATE, "Testmaker's T1 is no equipment the calibration knows"
    assert codes(reading) == []
    assert [caution.code for caution in reading.cautions] == [CautionCode.NO_REFERENCE_POPULATION]
    assert [each.standard_view for each in reading.inputs] == list(STANDARD_VIEWS)
    assert all(len(each.pixel_sha256) == 64 for each in reading.inputs)
    assert (reading.algorithm.name, reading.algorithm.weights_sha256) == (card.name, card.weights_sha256)
    assert reading.algorithm.labelling == "Demonstration. Trained on synthetic images. Not for clinical use."
    assert reading.algorithm.parameters == ("reference window: all",)
    for said in (reading.calibration_version, reading.preprocessing_version, reading.eligibility_version):
        assert said
    assert reading.device == "cpu"
    assert reading.strategy == "screening"
    assert {"decode", "preprocess", "network", "post", "previews"} <= reading.timings_s.keys()
    assert str(reading.stratum).startswith("Testmaker / T1")
    assert reading.composition is not None
    assert math.isclose(sum(reading.composition.probabilities), 1, abs_tol=1e-5)
    assert outcome.previews.keys() == given.files.keys()
    assert Reading.from_json(reading.to_json()) == reading


def test_the_same_exam_read_twice_has_the_same_scores(engine: Engine, composition: Path, tmp_path: Path) -> None:
    given = stored(tmp_path, support_exams.exam())
    first, again = read(engine, given), read(engine, given)
    elsewhere = read(Engine([composition, bundle.DEMO], operating_points=DEFAULT, threads=1), given)
    for other in (again, elsewhere):
        same = replace(other, started_at=first.started_at, timings_s=first.timings_s)
        assert same == first


def test_previews_are_small_grey_pictures_of_the_whole_image(engine: Engine, tmp_path: Path) -> None:
    given = stored(tmp_path, support_exams.exam())
    for png in engine.read(given.exam, given.files, revision=1).previews.values():
        picture = Image.open(io.BytesIO(png))
        assert picture.mode == "L"
        assert picture.size == (512, 640)
        assert np.asarray(picture)[0, 0] == 0


def test_previews_are_made_of_unread_images_too_but_not_of_hundreds(engine: Engine, tmp_path: Path) -> None:
    many = [support_exams.view(number, "R", "CC", BreastImplantPresent="YES") for number in range(1, 15)]
    many.append(support_exams.view(20, "L", "CC", Modality="OT"))
    given = stored(tmp_path, many)
    outcome = engine.read(given.exam, given.files, revision=1)
    assert outcome.reading.category is Category.NOT_READ
    assert len(outcome.previews) == MOST_PREVIEWS
    assert f"{support_exams.STUDY}.20" not in outcome.previews


def _cut(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


def _blank(dataset: Dataset) -> None:
    dataset.PixelData = bytes(len(dataset.PixelData))


def _mirror(dataset: Dataset) -> None:
    values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.PixelData = values[:, ::-1].tobytes()


def _no_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


BAD_PIXELS = [
    (_cut, ReasonCode.PIXEL_DATA_SHORT),
    (_blank, ReasonCode.NO_BREAST_FOUND),
    (_mirror, ReasonCode.LATERALITY_CONTRADICTED),
    (_no_pixels, ReasonCode.PIXEL_DATA_MISSING),
]


@pytest.mark.parametrize(("spoil", "code"), BAD_PIXELS, ids=[code.value for _, code in BAD_PIXELS])
def test_bad_pixels_are_not_read_and_never_negative(
    engine: Engine, tmp_path: Path, spoil: Callable[[Dataset], None], code: ReasonCode
) -> None:
    datasets = support_exams.exam()
    spoil(datasets[1])
    reading = read(engine, stored(tmp_path, datasets))
    assert reading.category is Category.NOT_READ
    assert codes(reading) == [ReasonCode.VIEWS_MISSING, code]
    assert reading.reasons[1].sop_instance_uid == str(datasets[1].SOPInstanceUID)


@pytest.mark.parametrize(("spoil", "code"), BAD_PIXELS, ids=[code.value for _, code in BAD_PIXELS])
def test_a_bad_repeat_is_left_out_and_the_earlier_image_is_read(
    engine: Engine, tmp_path: Path, spoil: Callable[[Dataset], None], code: ReasonCode
) -> None:
    repeat = support_exams.view(9, "L", "CC")
    spoil(repeat)
    reading = read(engine, stored(tmp_path, [*support_exams.exam(), repeat]))
    assert reading.category is not Category.NOT_READ
    assert [(reason.code, reason.sop_instance_uid) for reason in reading.left_out] == [
        (code, f"{support_exams.STUDY}.9")
    ]


def test_a_file_that_is_gone_or_anothers_is_not_read(engine: Engine, tmp_path: Path) -> None:
    given = stored(tmp_path, support_exams.exam())
    uids = list(given.files)
    gone = {**given.files, uids[0]: tmp_path / "gone.dcm"}
    swapped = {**given.files, uids[0]: given.files[uids[1]]}
    unknown = {uid: path for uid, path in given.files.items() if uid != uids[0]}
    for files in (gone, swapped, unknown):
        reading = engine.read(given.exam, files, revision=1).reading
        assert codes(reading) == [ReasonCode.VIEWS_MISSING, ReasonCode.INSTANCE_UNREADABLE]


def test_an_incomplete_exam_names_the_missing_view(engine: Engine, tmp_path: Path) -> None:
    reading = read(engine, stored(tmp_path, support_exams.exam()[:3]))
    assert [(reason.code, reason.detail) for reason in reading.reasons] == [(ReasonCode.VIEWS_MISSING, "L MLO")]
    assert reading.algorithm.labelling


def _raises(inputs: Sequence[Any]) -> list[ViewOutput]:
    raise RuntimeError("no kernel image")


def _answers_nan(inputs: Sequence[Any]) -> list[ViewOutput]:
    return [replace(output, probability=float("nan")) for output in MODEL.answer(inputs)]


def _forgets_a_view(inputs: Sequence[Any]) -> list[ViewOutput]:
    return MODEL.answer(inputs)[1:]


@pytest.mark.parametrize("how", [_raises, _answers_nan, _forgets_a_view])
def test_a_failing_model_is_told_and_never_negative(
    how: Callable[[Sequence[object]], list[ViewOutput]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(demo_net, "build", lambda card, weights, device: Broken(how))
    broken = Engine([bundle.DEMO], operating_points=DEFAULT)
    monkeypatch.undo()
    with caplog.at_level(logging.CRITICAL):
        outcome_of = stored(tmp_path, support_exams.exam())
        outcome = broken.read(outcome_of.exam, outcome_of.files, revision=1)
    assert outcome.reading.category is Category.NOT_READ
    assert codes(outcome.reading) == [ReasonCode.MODEL_FAILED]
    assert len(outcome.previews) == 4, "a person will want to see the exam the model failed on"


@pytest.mark.parametrize("failure", [ValueError("no histogram"), KeyError("view")])
def test_a_failing_composition_does_not_cost_the_exam(
    failure: Exception, engine: Engine, composition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    given = stored(tmp_path, support_exams.exam())
    monkeypatch.setattr(breast_density.DensityModel, "assess", fail)
    reading = read(engine, given)
    assert reading.category is not Category.NOT_READ
    assert reading.composition is None


def test_images_outside_the_composition_models_rules_get_no_composition(composition: Path, tmp_path: Path) -> None:
    (composition_copy := tmp_path / "bundle").mkdir()
    for file in composition.iterdir():
        (composition_copy / file.name).write_bytes(file.read_bytes())
    rules = EligibilityRules(bits_stored=Span(low=8, high=8))
    (composition_copy / bundle.ELIGIBILITY).write_text(rules.model_dump_json())
    engine = Engine([bundle.DEMO, composition_copy], operating_points=DEFAULT)
    (tmp_path / "exam").mkdir()
    reading = read(engine, stored(tmp_path / "exam", support_exams.exam()))
    assert reading.category is not Category.NOT_READ
    assert reading.composition is None


# --- starting


def test_every_bundle_passes_its_self_check(engine: Engine) -> None:
    results = engine.self_check()
    assert [result.name for result in results] == [demo_net.CARD.name, breast_density.CARD.name]
    assert all(result.largest_difference <= result.tolerance for result in results)


def test_a_model_that_answers_differently_here_does_not_serve(tmp_path: Path) -> None:
    for file in bundle.DEMO.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    expected = dict(Bundle.load(bundle.DEMO).self_check.expected)
    check = SelfCheck(expected={name: abs(value - 0.01) for name, value in expected.items()})
    (tmp_path / bundle.SELF_CHECK).write_text(check.model_dump_json())
    with pytest.raises(SelfCheckFailed, match="outputs differ"):
        Engine([tmp_path], operating_points=DEFAULT).self_check()


def test_which_bundles_device_and_strategy_are_checked_at_the_start(composition: Path, tmp_path: Path) -> None:
    for wrong in ([], [composition], [bundle.DEMO, bundle.DEMO], [bundle.DEMO, composition, composition]):
        with pytest.raises(ValueError, match="exactly one detection bundle"):
            Engine(wrong, operating_points=DEFAULT)
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        Engine([tmp_path], operating_points=DEFAULT)
    with pytest.raises(NoSuchExtension, match="screening"):
        Engine([bundle.DEMO], operating_points=DEFAULT, strategy="guessing")
    with pytest.raises(ValueError, match="not available"):
        Engine([bundle.DEMO], operating_points=DEFAULT, device="abacus")
