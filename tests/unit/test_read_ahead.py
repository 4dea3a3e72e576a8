"""Batches and reading ahead: the same answers in the same order, whatever fails beside them, in bounded memory."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ai import bundle
from ai.calibration import OperatingPoints
from ai.detection import in_parts
from ai.exam import Exam
from ai.findings import Category, Reading, ReadOutcome
from ai.inference import Engine
from ai.models import demo_net
from ai.read_ahead import Pace, ReadAhead
from ai.reasons import ReasonCode
from ai.request import OutOfMemory, ReadRequest
from tests.support import wait_until
from tests.support_exams import as_file, exam
from tests.support_models import Whimsical

STUDIES = [f"1.2.826.0.1.3680043.10.999.{number}" for number in range(1, 7)]
Answer = ReadOutcome | Exception
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[ReadRequest]:
    """Six exams; the third has a view that is cut short."""
    folder, made = tmp_path_factory.mktemp("exams"), []
    for number, study in enumerate(STUDIES):
        datasets = exam(study)
        if number == 2:
            datasets[1].PixelData = datasets[1].PixelData[:1000]
        files = {str(each.SOPInstanceUID): folder / f"{each.SOPInstanceUID}.dcm" for each in datasets}
        for each in datasets:
            files[str(each.SOPInstanceUID)].write_bytes(as_file(each))
        made.append(ReadRequest(Exam.from_datasets(datasets), files, 1))
    return made


def engine_of(model: Whimsical, monkeypatch: pytest.MonkeyPatch) -> Engine:
    with monkeypatch.context() as patched:
        patched.setattr(demo_net, "build", lambda card, weights, device: model)
        return Engine([bundle.DEMO], operating_points=OperatingPoints(), threads=2)


def read_all(engine: Engine, requests: Sequence[ReadRequest], pace: Pace, threads: int = 8) -> list[Answer]:
    answers: dict[int, Answer] = {}
    with ReadAhead(engine, pace, threads, answers.__setitem__) as reading:
        for number, request in enumerate(requests):
            reading.read(number, request)
    assert list(answers) == list(range(len(requests))), "every exam is answered once, in the order of the questions"
    return list(answers.values())


def read(answer: Answer) -> Reading:
    assert isinstance(answer, ReadOutcome), answer
    return replace(answer.reading, timings_s={}, started_at=LONG_AGO)


@pytest.mark.parametrize("pace", [Pace(batch=1, ahead=0), Pace(batch=1, ahead=3), Pace(batch=3, ahead=3, wait_s=60)])
def test_every_pace_gives_the_answers_of_one_exam_after_the_other(
    requests: list[ReadRequest], pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Whimsical(lambda _: None)
    engine = engine_of(model, monkeypatch)
    alone = [engine.read(each.exam, each.files, revision=1) for each in requests]
    model.batches.clear()
    before = list(warnings.filters)
    together = read_all(engine, requests, pace)
    assert list(map(read, together)) == list(map(read, alone))
    assert [code_of(each) for each in together] == ["", "", "PIXEL_DATA_SHORT", "", "", ""]
    assert all(isinstance(each, ReadOutcome) and len(each.previews) >= 3 for each in together)
    assert max(map(len, model.batches)) == pace.batch, model.batches
    assert list(warnings.filters) == before


def code_of(answer: Answer) -> str:
    reading = read(answer)
    return str(reading.reasons[-1].code) if reading.category is Category.NOT_READ else ""


@pytest.mark.parametrize(
    ("error", "wanted"),
    [(ValueError("no such shape"), ReasonCode.MODEL_FAILED), (MemoryError("no more"), None)],
    ids=["the model fails", "memory runs out"],
)
def test_an_exam_that_fails_in_a_batch_fails_alone(
    requests: list[ReadRequest], error: Exception, wanted: ReasonCode | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_on_the_second(studies: Sequence[str]) -> None:
        if STUDIES[1] in studies:
            raise error

    model = Whimsical(fails_on_the_second)
    engine = engine_of(model, monkeypatch)
    answers = read_all(engine, [requests[0], requests[1], requests[3], requests[4]], Pace(batch=4, wait_s=30))
    suspect = answers.pop(1)
    assert all(read(each).category is not Category.NOT_READ for each in answers)
    assert model.batches == [[STUDIES[n] for n in batch] for batch in ([0, 1, 3, 4], [0, 1], [0], [1], [3, 4])]
    if wanted is None:
        assert isinstance(suspect, OutOfMemory), "what says nothing of the exam is not answered about the exam"
    else:
        assert code_of(suspect) == wanted


def test_halves_are_tried_until_one_item_fails_alone() -> None:
    tried: list[Sequence[int]] = []
    relieved: list[int] = []

    def compute(items: Sequence[int]) -> list[int]:
        tried.append(items)
        if 5 in items:
            raise RuntimeError("five")
        return [item * item for item in items]

    found = in_parts(compute, list(range(8)), lambda: relieved.append(len(tried)))
    assert found[:5] == [0, 1, 4, 9, 16]
    assert found[6:] == [36, 49]
    assert str(found[5]) == "five"
    assert tried == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]
    assert relieved == [1, 3, 4]


def test_the_next_exam_is_prepared_while_this_one_is_computed_and_no_more_than_there_is_room_for(
    requests: list[ReadRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def waits(_: Sequence[str]) -> None:
        begun.set()
        assert may_go_on.wait(60)

    engine = engine_of(Whimsical(waits), monkeypatch)
    prepared: list[str] = []
    prepare: Callable[[ReadRequest], object] = engine.prepare

    def counted(request: ReadRequest) -> object:
        made = prepare(request)
        prepared.append(request.exam.study_instance_uid)
        return made

    monkeypatch.setattr(engine, "prepare", counted)
    asked: list[int] = []
    answers: dict[int, Answer] = {}
    with ReadAhead(engine, Pace(batch=1, ahead=2), 8, answers.__setitem__) as reading:

        def ask() -> None:
            for number, request in enumerate(requests):
                reading.read(number, request)
                asked.append(number)

        asking = threading.Thread(target=ask)
        asking.start()
        assert begun.wait(60), "the first exam was not computed"
        wait_until(lambda: len(prepared) == 3, 60, "the next two exams to be prepared beside it")
        asking.join(0.2)
        assert asked == [0, 1, 2], "a fourth exam was taken where there is room for three"
        assert answers == {}
        may_go_on.set()
        asking.join(60)
    assert list(answers) == list(range(6))
