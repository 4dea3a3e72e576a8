"""How the demonstration model is made: what is drawn, what is asked of it, and that a tiny run gives a bundle."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.bundle import Bundle
from ai.calibration import OperatingPoints
from ai.exam import STANDARD_VIEWS
from ai.findings import FindingType
from ai.inference import Engine
from ai.models._input import network_input
from ai.models.demo_net import CARD, MAPS
from ai.phantom import VENDOR_LOOKS, LesionKind, VendorLook, member, place, render
from ai.training import synthetic
from ai.training.examples import DrawnBox, TrainingExam, TrainingView, targets, training_view
from ai.training.fit import CheckpointError, FitSettings, fit
from ai.training.make import Sizes, make_bundle
from ai.training.make import synthetic as synthetic_material
from ai.training.report import localisation
from ai.training.synthetic import breast_image, screening_exams, teaching_woman
from ai.training.world import World
from tests.support import REPOSITORY

L_CC = STANDARD_VIEWS[1]
WOMAN = member(3, 0, prevalence=0.0)


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw coarsely: these tests are not about what the images show."""
    monkeypatch.setattr(synthetic, "PITCH_MM", 0.4)


def a_view(*boxes: tuple[tuple[float, float, float, float], int, bool]) -> TrainingView:
    return TrainingView(L_CC, np.zeros((2, 320, 320), np.int8), np.ones((320, 320), bool), boxes)


def test_a_malignant_lesion_lights_its_own_map_and_nothing_is_asked_round_it() -> None:
    wanted, counts = targets(a_view(((80, 80, 160, 160), 0, True)))
    middle, far = (15, 15), (30, 30)
    assert wanted[0][middle] == 1
    assert counts[0][middle] == 1
    assert counts[1][middle] == 0, "the other map may say what it likes there"
    assert wanted[0][far] == 0
    assert counts[0][far] == 1
    assert (wanted[counts == 0] == 0).all()
    border = (15, 10)
    assert (wanted[0][border], counts[0][border]) == (0, 0)


def test_a_benign_lesion_is_as_dark_as_any_tissue() -> None:
    wanted, counts = targets(a_view(((80, 80, 160, 160), 0, False)))
    assert wanted.max() == 0
    assert counts.min() == 1


def test_overlapping_lesions_keep_their_cores() -> None:
    one, other = ((80.0, 80.0, 160.0, 160.0), 0, True), ((120.0, 80.0, 200.0, 160.0), 1, True)
    wanted, counts = targets(a_view(one, other))
    for number, cell in ((0, (15, 12)), (1, (15, 22))):
        assert wanted[number][cell] == counts[number][cell] == 1, f"map {number} lost its lesion"


def test_a_lesion_is_where_the_network_sees_it() -> None:
    lesion = replace(place(LesionKind.ROUND_MASS, seed=4, image_laterality=L_CC.image_laterality), contrast=4.0)
    without, with_it = (
        render(replace(WOMAN.woman, lesions=lesions), L_CC, look=WOMAN.look, pitch_mm=0.4)
        for lesions in ((), (lesion,))
    )
    before = network_input(breast_image(without, WOMAN.look))
    drawn = [DrawnBox((b.left, b.top, b.right, b.bottom), b.finding_type, b.malignant) for b in with_it.truth.boxes]
    view = training_view(breast_image(with_it, WOMAN.look), L_CC, drawn)
    change = np.abs(view.values[0] - before.values[0])
    ((left, top, right, bottom), number, malignant) = view.boxes[0]
    inside = change[int(top) : int(bottom), int(left) : int(right)].mean()
    assert inside > 5 * change.mean(), "the lesion's box does not hold the lesion"
    assert (MAPS[number], malignant) == (FindingType.SOFT_TISSUE, False)


@pytest.mark.parametrize("look", VENDOR_LOOKS[:2], ids=lambda look: str(look.name))
def test_training_sees_what_reading_sees_whatever_the_pitch(look: VendorLook) -> None:
    """Drawn at another pitch, the same breast must give nearly the same network input."""
    fine = network_input(breast_image(render(WOMAN.woman, L_CC, look=look, pitch_mm=0.1), look))
    native = network_input(breast_image(render(WOMAN.woman, L_CC, look=look), look))
    rows, columns = (min(a, b) for a, b in zip(fine.mask.shape, native.mask.shape, strict=True))
    both = fine.mask[:rows, :columns] & native.mask[:rows, :columns]
    for channel, name in enumerate(("mean", "maximum")):
        one, other = fine.values[channel, :rows, :columns][both], native.values[channel, :rows, :columns][both]
        assert abs(float(np.median(one - other))) < 0.1, f"the {name} channel shifts with the pitch"
        assert float(one.std() / other.std()) == pytest.approx(1, abs=0.1), f"the {name} channel scales with the pitch"


def test_exams_come_back_from_the_cache_as_they_were(tmp_path: Path) -> None:
    drawn, kept = (screening_exams(5, 1, prevalence=1.0, cache=tmp_path) for _ in range(2))
    assert len(list(tmp_path.glob("*.npz"))) == 1
    for one, other in zip(drawn[0].views, kept[0].views, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.boxes, one.standard_view) == (other.boxes, other.standard_view)
    assert drawn[0].cancer
    assert drawn[0].labels == kept[0].labels
    assert sorted(drawn[0].labels.values()) == [0.0, 1.0]


def test_a_teaching_woman_has_cancer_in_both_breasts_and_is_always_the_same() -> None:
    woman = teaching_woman(7, 1)
    assert woman == teaching_woman(7, 1)
    assert woman != teaching_woman(8, 1)
    assert {lesion.image_laterality for lesion in woman.woman.lesions if lesion.malignant} == {"R", "L"}


CPU = World.joined("cpu")
TINY = FitSettings(steps=6, batch=2, crop=64, wholes=1, evaluate_every=2)


@pytest.fixture(scope="module")
def exams() -> tuple[TrainingExam, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "PITCH_MM", 0.4)
        return screening_exams(5, 4, prevalence=0.5)


def test_an_interrupted_fit_goes_on_to_the_same_numbers(exams: tuple[TrainingExam, ...], tmp_path: Path) -> None:
    whole = fit(exams[:2], exams[2:], TINY, 1, world=CPU)
    kept = tmp_path / "fit.checkpoint"

    def interrupt(step: int, _loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(exams[:2], exams[2:], TINY, 1, world=CPU, report=interrupt, checkpoint=kept)
    steps: list[int] = []
    resumed = fit(
        exams[:2], exams[2:], TINY, 1, world=CPU, report=lambda step, _loss: steps.append(step), checkpoint=kept
    )
    assert steps == [5, 6], "it began anew instead of going on"
    assert resumed.history == whole.history
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), f"{name} differs after the interruption"


def test_a_checkpoint_of_another_run_is_refused(exams: tuple[TrainingExam, ...], tmp_path: Path) -> None:
    kept = tmp_path / "fit.checkpoint"
    fit(exams[:2], exams[2:], TINY, 1, world=CPU, checkpoint=kept)
    with pytest.raises(CheckpointError, match="remove it to begin anew"):
        fit(exams[:2], exams[2:], TINY, 2, world=CPU, checkpoint=kept)


def test_without_patience_left_the_fit_stops_and_gives_the_best(exams: tuple[TrainingExam, ...]) -> None:
    settings = replace(TINY, steps=40, evaluate_every=1, patience=2, rate=0.0)
    fitted = fit(exams[:2], exams[2:], settings, 1, world=CPU)
    assert fitted.stopped_early
    assert len(fitted.history) < 40


def test_exams_without_drawn_lesions_are_learnt_from_their_labels(exams: tuple[TrainingExam, ...]) -> None:
    weak = [replace(exam, drawn=False) for exam in exams]
    fitted = fit(weak[:2], weak[2:], replace(TINY, steps=2), 1, world=CPU)
    assert np.isfinite([moment.loss for moment in fitted.history]).all()


def test_localisation_counts_marks_on_the_cancer_and_elsewhere(exams: tuple[TrainingExam, ...]) -> None:
    fitted = fit(exams[:2], exams[2:], replace(TINY, steps=1), 1, world=CPU)
    everywhere, nowhere = (localisation(fitted.net, exams, threshold) for threshold in (0.0, 1.1))
    assert everywhere.of == sum(exam.cancer for exam in exams) > 0
    assert everywhere.marks > 0
    assert (nowhere.found, nowhere.marks) == (0, 0)


def test_two_processes_fit_one_network(tmp_path: Path) -> None:
    """As torchrun starts them, on the CPU; the parameters must be the same in both at the end."""
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from ai.training import synthetic\n"
        "from ai.training.fit import FitSettings, fit\n"
        "from ai.training.world import World\n"
        "synthetic.PITCH_MM = 0.4\n"
        "torch.set_num_threads(1)\n"
        "exams = synthetic.screening_exams(5, 2, prevalence=0.5)\n"
        "world = World.joined('cpu')\n"
        "settings = FitSettings(steps=2, batch=2, crop=64, wholes=1, wholes_from=0.0, evaluate_every=2)\n"
        "fitted = fit(exams, exams, settings, 1, world=world)\n"
        "sums = [float(value.double().sum()) for value in fitted.net.parameters()]\n"
        "Path(sys.argv[1], str(world.rank)).write_text(repr(sums))\n"
        "world.leave()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script, tmp_path],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "0").read_text() == (tmp_path / "1").read_text()


def test_a_tiny_training_run_gives_a_bundle_that_serves_and_the_same_again(tmp_path: Path) -> None:
    sizes = Sizes(teaching=1, training=1, tuning=2, reference=2, test=3)
    material = synthetic_material(7, sizes, tmp_path / "drawn")
    first, again = (
        make_bundle(
            tmp_path / run,
            material,
            card=CARD,
            version="synthetic-7",
            seed=7,
            settings=replace(TINY, steps=3),
            world=CPU,
        )
        for run in ("first", "again")
    )
    assert first is not None
    assert again is not None
    assert first.weights_sha256 == again.weights_sha256 == Bundle.load(tmp_path / "first").card.weights_sha256
    assert Engine([tmp_path / "first"], operating_points=OperatingPoints()).self_check()
    assert "unseen synthetic exams" in first.performance[0]
    assert (tmp_path / "first" / "curves.png").stat().st_size > 1000
