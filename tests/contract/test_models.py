"""What every offered model keeps, found by its file alone; and what a bundle refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ai import bundle, models
from ai.bundle import Bundle, BundleError
from ai.eligibility import EligibilityRules
from ai.exam import STANDARD_VIEWS, StandardView
from ai.extensions import NoSuchExtension
from ai.models import Task, ViewOutput
from ai.self_check import SelfCheck, answers, largest_difference, sample_views, told

SAMPLES = sample_views()
BUNDLES = sorted(folder for folder in bundle.SHIPPED.iterdir() if folder.is_dir())


@pytest.fixture(params=models.offered())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_card_says_what_it_is_and_may_do(name: str) -> None:
    card = models.load(name).CARD
    assert card.module == name, "the card names another module"
    for said in (card.name, card.version, card.manufacturer, card.intended_use, card.licence, card.training_data):
        assert said.strip(), f"{name}: something on the card is empty"
    assert card.labels
    assert card.weights_source


@dataclass(frozen=True)
class Made:
    """A model of untrained weights, and what it answers on the made-up images."""

    model: Any
    task: Task
    outputs: dict[StandardView, ViewOutput]
    found: dict[str, float]


@cache
def made(name: str) -> Made:
    """Made once, for a large network takes seconds."""
    module = models.load(name)
    model: Any = module.build(module.CARD, module.fresh(3))
    if module.CARD.task is Task.COMPOSITION:
        return Made(model, module.CARD.task, {}, answers(model, module.CARD.task))
    outputs = models.detect(model, SAMPLES)
    return Made(model, module.CARD.task, outputs, told(outputs))


def test_it_answers_every_view_with_probabilities(name: str) -> None:
    found, task = made(name).found, made(name).task
    assert all(0.0 <= value <= 1.0 for value in found.values()), found
    per_view = {name for standard in STANDARD_VIEWS for name in (f"{standard}", f"{standard} peak")}
    assert set(found) == (per_view if task is Task.DETECTION else set("abcd"))
    if task is Task.COMPOSITION:
        assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_same_exam_has_the_same_answer_whatever_came_between(name: str) -> None:
    model, task = made(name).model, made(name).task
    another = dict.fromkeys(STANDARD_VIEWS, SAMPLES[STANDARD_VIEWS[0]])
    models.detect(model, another) if task is Task.DETECTION else model.assess(another)
    assert answers(model, task) == made(name).found


def test_detections_lie_in_the_stored_image(name: str) -> None:
    for standard, output in made(name).outputs.items():
        rows, columns = SAMPLES[standard].image.values.shape
        assert output.suspicion.shape == (output.geometry.rows, output.geometry.columns)
        assert output.suspicion.min() >= 0
        assert output.suspicion.max() <= 1
        probabilities = [candidate.probability for candidate in output.candidates]
        assert probabilities == sorted(probabilities, reverse=True)
        for candidate in output.candidates:
            left, top, right, bottom = candidate.box
            assert 0 <= left < right <= columns
            assert 0 <= top < bottom <= rows


def test_weights_that_do_not_fit_are_refused(name: str) -> None:
    module = models.load(name)
    with pytest.raises(ValueError, match=f"do not fit {name}"):
        module.build(module.CARD, {"stray": torch.zeros(1)})


def test_an_unknown_model_is_refused_with_what_there_is() -> None:
    with pytest.raises(NoSuchExtension, match="demo_net"):
        models.load("no_such_model")


# --- bundles


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_a_shipped_bundle_loads_and_passes_its_self_check(folder: Path) -> None:
    loaded = Bundle.load(folder)
    found = answers(loaded.model, loaded.card.task)
    assert largest_difference(loaded.self_check, found) <= loaded.self_check.tolerance
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4 * 1024**2, "shipped bundles are small"


def test_the_shipped_demonstration_says_so_on_every_result() -> None:
    assert Bundle.load(bundle.DEMO).card.labelling == (
        "Demonstration. Trained on synthetic images. Not for clinical use."
    )


def _alter(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return alter


def _spoil_weights(folder: Path) -> None:
    data = bytearray((folder / bundle.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / bundle.WEIGHTS).write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *(
            (lambda folder, name=name: (folder / name).unlink(), f"{name} is missing")
            for name in (bundle.CARD, bundle.WEIGHTS, bundle.CALIBRATION, bundle.ELIGIBILITY, bundle.SELF_CHECK)
        ),
        (_spoil_weights, "sha256 differs"),
        (_alter(bundle.CARD, lambda card: card.update(module="no_such_model")), "no 'no_such_model'"),
        (_alter(bundle.CARD, lambda card: card.update(colour="red")), "colour"),
        (_alter(bundle.CARD, lambda card: card.pop("licence")), "licence"),
        (_alter(bundle.CALIBRATION, lambda calibration: calibration.update(windows={})), "needs the window"),
        (_alter(bundle.ELIGIBILITY, lambda rules: rules.update(rows="many")), "rows"),
        (lambda folder: (folder / bundle.CARD).write_text("{"), bundle.CARD),
    ],
)
def test_a_spoilt_bundle_is_refused_by_name(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.DEMO, folder)
    spoil(folder)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_a_bundle_may_be_a_zip_of_its_files(tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "demo"), "zip", bundle.DEMO))
    assert Bundle.load(packed).card == Bundle.load(bundle.DEMO).card
    packed.write_bytes(packed.read_bytes()[:100])
    with pytest.raises(BundleError, match=r"card\.json is missing or unreadable"):
        Bundle.load(packed)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    module = models.load("demo_net")
    check = SelfCheck(expected={"R CC": 0.5})
    bundle.write(
        tmp_path, card=module.CARD, weights={"a": torch.zeros(2)}, eligibility=EligibilityRules(), self_check=check
    )
    with pytest.raises(BundleError, match="do not fit"):
        Bundle.load(tmp_path)


def test_a_missing_or_nan_answer_never_passes_a_self_check() -> None:
    check = SelfCheck(expected={"R CC": 0.5})
    assert largest_difference(check, {}) == float("inf")
    assert largest_difference(check, {"R CC": float("nan")}) == float("inf")
    assert largest_difference(SelfCheck(expected={}), {"R CC": 0.5}) == float("inf")
    assert largest_difference(check, {"R CC": 0.25}) == pytest.approx(0.25)


def test_the_made_up_images_are_the_same_everywhere() -> None:
    total = sum(int(view.image.values.astype(np.int64).sum()) for view in SAMPLES.values())
    assert total == 3407400174, "the self-check's images changed: every bundle's expected outputs are void"
