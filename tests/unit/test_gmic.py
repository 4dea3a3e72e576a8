"""GMIC against a reference network: from its authors' images here, from stored DICOM by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ai.bundle import Bundle
from ai.calibration import NO_WINDOW
from ai.exam import STANDARD_VIEWS, StandardView
from ai.models import gmic
from ai.models._gmic_net import GmicNet, NetOutput, patch_corners
from ai.published import ImportRefused, sha256
from ai.published_gmic import NETWORKS, import_nyu_gmic
from tests import support_gmic
from tests.support import shared_data

WITHIN = 1e-4


@cache
def network() -> GmicNet:
    """The seeded network, loaded as a published file is."""
    weights = {f"1.{name}": tensor for name, tensor in support_gmic.seeded_state().items()}
    return gmic.build(gmic.CARD, weights).networks["1"]


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_network_answers_as_the_reference_does(standard: StandardView) -> None:
    values = support_gmic.picture(standard, "exam0/preprocessed").astype(np.float32)
    view = torch.from_numpy((values - values.mean()) / values.std())
    with torch.inference_mode():
        found: NetOutput = network()(view[None, None])
    wanted = support_gmic.of(standard)
    assert found.corners.tolist() == wanted["patch_locations"], "another choice of patches: nothing else can agree"
    for name, values in (
        ("y_fusion", found.scores),
        ("y_global", found.global_scores),
        ("y_local", found.local_scores),
        ("patch_attn", found.attention),
        ("saliency", found.saliency),
    ):
        np.testing.assert_allclose(values.numpy(), wanted[name], atol=WITHIN, rtol=0, err_msg=name)


def test_the_published_parameters_load_strictly_but_for_the_one_that_is_unused() -> None:
    state = {name: torch.zeros(shape) for name, shape in support_gmic.shapes().items()}
    assert {f"1.{name}" for name in state} == set(gmic.fresh(1))
    named = {f"1.{name}": tensor for name, tensor in state.items()}
    assert list(gmic.build(gmic.CARD, named | {f"1.{gmic.UNUSED}": torch.zeros(1)}).networks) == ["1"]
    wrong_shape = named | {"1.fusion_dnn.weight": torch.zeros(2, 3)}
    missing = {name: tensor for name, tensor in named.items() if name != "1.ds_net.final_bn.bias"}
    for spoilt in (missing, wrong_shape, named | {"1.stray": torch.zeros(1)}, {}):
        with pytest.raises(ValueError, match="do not fit gmic"):
            gmic.build(gmic.CARD, spoilt)


def test_patches_lie_where_the_maps_are_highest_and_one_does_not_take_anothers_place() -> None:
    saliency = torch.zeros(2, 46, 30)
    saliency[1, 10:14, 20:24] = 1.0
    saliency[0, 30:34, 5:9] = 0.5  # stretched to the same height, but its own cells do not count twice
    saliency[0, 31, 6] = 1.0
    first, second, *_ = patch_corners(saliency).tolist()
    assert (first, second) == ([640, 1280], [1920, 320])


def test_a_map_without_any_contrast_still_gives_six_patches_inside_the_input() -> None:
    corners = patch_corners(torch.full((2, 46, 30), 0.25))
    assert corners.shape == (6, 2)
    assert bool((corners >= 0).all())
    assert bool((corners <= torch.tensor([2944 - 256, 1920 - 256])).all())


# --- import of the files that a user brings


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published form, with the seeded weights."""
    file = tmp_path_factory.mktemp("brought") / "sample_model_1.p"
    torch.save({**support_gmic.seeded_state(), gmic.UNUSED: torch.zeros(1)}, file)
    return file


def test_the_five_published_files_are_known_each_with_its_percentage() -> None:
    stated = json.loads((shared_data("gmic") / "published_expected.json").read_text())
    hashes = stated["GMIC_weights_LFS_oid_sha256_at_e08541c"]
    assert {name: sha for sha, (name, _) in NETWORKS.items()} == {n: hashes[n] for n in "12345"}
    assert [percent for _, percent in NETWORKS.values()] == [0.02, 0.03, 0.03, 0.05, 0.1]


def test_a_file_that_is_not_published_is_refused_and_leaves_nothing(brought: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="none of the five published files"):
        import_nyu_gmic([brought], tmp_path / "out")
    with pytest.raises(ImportRefused, match="cannot be read"):
        import_nyu_gmic([tmp_path / "none.p"], tmp_path / "out", allow_unknown=True)
    with pytest.raises(ImportRefused, match="named twice"):
        import_nyu_gmic([brought, brought], tmp_path / "out", allow_unknown=True)
    other = tmp_path / "other.p"
    torch.save({"fc.weight": torch.zeros(2)}, other)
    with pytest.raises(ImportRefused, match="do not fit gmic"):
        import_nyu_gmic([other], tmp_path / "out", allow_unknown=True)
    assert not (tmp_path / "out").exists()


def test_a_known_file_has_its_own_name_and_percentage_and_an_ensemble_is_their_mean(
    brought: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which files are published is told by their hash alone: here two others stand in for them."""
    second = tmp_path / "second.p"
    torch.save(support_gmic.seeded_state("another"), second)
    known = {sha256(file): entry for file, entry in ((brought, ("1", 0.02)), (second, ("5", 0.1)))}
    monkeypatch.setattr("ai.published_gmic.NETWORKS", known)
    monkeypatch.setattr("ai.published_gmic.answers", lambda *_: {"R CC": 0.5})
    card = import_nyu_gmic([brought, second], tmp_path / "out")
    assert (card.version, card.labelling) == (gmic.CARD.version, gmic.CARD.labelling)
    assert all(sha in card.weights_source for sha in known)
    loaded = Bundle.load(tmp_path / "out")
    assert loaded.calibration == NO_WINDOW
    assert isinstance(loaded.model, gmic.GmicModel)
    assert {name: each.percent_t for name, each in loaded.model.networks.items()} == {"1": 0.02, "5": 0.1}
    a, b = (gmic.NetOutput(*(torch.full((2, 2), value) for _ in range(6))) for value in (0.2, 0.4))
    np.testing.assert_allclose(gmic.mean_saliency([a, b]), 0.3, rtol=1e-6)


# --- stored DICOM → Reading, as a person does it


def mammo_node(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def imported(brought: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    refused = mammo_node("model", "import", "nyu-gmic", brought, "--out", "gmic", cwd=folder)
    assert refused.returncode == 2, "weights that nobody published are not taken without a word"
    assert "none of the five published files" in refused.stderr
    options = ("--out", "gmic", "--allow-unknown-weights")
    done = mammo_node("model", "import", "nyu-gmic", brought, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "gmic"


@pytest.fixture(scope="module")
def told(imported: Path) -> dict[str, Any]:
    """The reading of the published exam, written as DICOM."""
    support_gmic.write_exam(imported.parent / "exam")
    done = mammo_node("read", "--bundle", "./gmic", "--json", "exam", cwd=imported.parent)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    return dict(answer["reading"])


def test_weights_that_nobody_published_are_said_to_be_unverified_on_every_result(told: dict[str, Any]) -> None:
    assert told["algorithm"]["labelling"] == "Unverified weights. Research model. Not for clinical use."
    assert told["algorithm"]["version"] == "unverified"


def test_without_a_reference_window_no_exam_is_negative_or_suspicious(told: dict[str, Any]) -> None:
    assert told["category"] == "INDETERMINATE"
    assert told["calibration_version"] == "none"
    assert [each["code"] for each in told["cautions"]] == ["NO_REFERENCE_POPULATION"]
    assert told["percentile"] == pytest.approx(50, abs=0.01)


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_a_stored_exam_is_read_as_the_reference_reads_it(standard: StandardView, told: dict[str, Any]) -> None:
    """From DICOM made of the hospital's pictures, through this software's own decoding and preprocessing."""
    (detail,) = [each for each in told["details"] if _is(each["standard_view"], standard)]
    (view,) = [each for each in told["views"] if _is(each["standard_view"], standard)]
    (only,) = detail["networks"]
    wanted = support_gmic.of(standard)
    places = [[each["input_row"], each["input_column"]] for each in only["regions_of_interest"]]
    assert places == wanted["patch_locations"]
    attention = [each["attention"] for each in only["regions_of_interest"]]
    assert attention == pytest.approx(wanted["patch_attn"], abs=WITHIN)
    for kind, name in (("", "y_fusion"), (", global", "y_global"), (", local", "y_local")):
        found = [only["scores"][f"benign{kind}"], only["scores"][f"malignant{kind}"]]
        assert found == pytest.approx(wanted[name], abs=WITHIN), name
    assert detail["scores"] == pytest.approx({label: only["scores"][label] for label in ("benign", "malignant")})
    assert view["probability"] == pytest.approx(wanted["y_fusion"][1], abs=WITHIN)


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_regions_of_interest_are_told_in_stored_pixels(standard: StandardView, told: dict[str, Any]) -> None:
    """The published crops begin at the image's corner, so the place in the input tells that in the image."""
    (detail,) = [each for each in told["details"] if _is(each["standard_view"], standard)]
    rows, columns = support_gmic.picture(standard).shape
    above = (2944 - rows) // 2 if standard.view_position == "CC" else 0
    for each in detail["networks"][0]["regions_of_interest"]:
        left, right = each["input_column"], each["input_column"] + 256
        if standard.image_laterality == "R":
            left, right = columns - right, columns - left
        top, bottom = each["input_row"] - above, each["input_row"] - above + 256
        box = (max(left, 0), max(top, 0), min(right, columns), min(bottom, rows))
        region = each["region"]
        assert tuple(region[side] for side in ("left", "top", "right", "bottom")) == pytest.approx(box, abs=1)


def test_a_mark_needs_both_a_high_map_and_a_high_score(told: dict[str, Any]) -> None:
    """The maps of the seeded network are high everywhere; its scores on the MLO views are around one half."""
    scores = {each["sop_instance_uid"]: each["probability"] for each in told["views"]}
    marked = {each["region"]["sop_instance_uid"] for each in told["findings"]}
    assert marked == {uid for uid, score in scores.items() if score >= gmic.CARD.finding_threshold}
    for each in told["findings"]:
        assert each["probability"] <= scores[each["region"]["sop_instance_uid"]]
        assert each["finding_type"] == "SUSPICIOUS_REGION"


def _is(told: dict[str, str], standard: StandardView) -> bool:
    return (told["image_laterality"], told["view_position"]) == (standard.image_laterality, standard.view_position)


def test_the_form_for_reading_answers_as_the_published_one_does() -> None:
    """Folded norms, strips and added channels are the same numbers but for rounding."""
    plain = GmicNet(0.02)
    plain.load_state_dict(support_gmic.seeded_state())
    view = torch.linspace(-1, 3, 2944 * 1920).reshape(1, 1, 2944, 1920).roll(777, dims=3)
    with torch.inference_mode():
        wanted, found = plain.eval()(view), network()(view)
    assert found.corners.tolist() == wanted.corners.tolist()
    for name in ("scores", "global_scores", "local_scores", "saliency", "attention"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=1e-5, rtol=0, msg=name)


def test_torch_has_its_threads_back_after_an_exam() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert gmic.GmicModel({}).detect({}) == {}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
