"""Applied calibrations: a history that is only added to, refusals, and what counts after each step."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.bundle import DEMO
from ai.calibration import ALL
from ai.findings import Stratum
from node.calibrations import Calibrations, ServedModel, served_model
from node.errors import ConfigError
from node.settings import ReadingSettings
from tests.support_calibration import proposal_of

STRATUM = Stratum(manufacturer="Vendor A", manufacturer_model_name="X", software_versions="2")
MODEL = served_model(ReadingSettings())
WHO = {"by": "A. Physicist", "reason": "update of room 2"}


@pytest.fixture
def kept(tmp_path: Path) -> Calibrations:
    return Calibrations(tmp_path / "calibration")


def proposal(folder: Path, model: ServedModel = MODEL, based_on: str = "", seed: int = 1) -> Path:
    scores = np.random.default_rng(seed).beta(1, 5, 300)
    made = proposal_of(scores, STRATUM, model, based_on=based_on)
    path = folder / f"proposal-{seed}.json"
    path.write_text(made.model_dump_json())
    return path


def lines(folder: Path) -> list[str]:
    return (folder / "calibration" / "history.jsonl").read_text().splitlines()


def test_without_history_the_bundles_own_calibration_counts(kept: Calibrations) -> None:
    assert kept.history() == ()
    assert kept.current(MODEL) == MODEL.calibration


def test_applied_it_counts_and_reverted_it_does_not(kept: Calibrations, tmp_path: Path) -> None:
    own = MODEL.calibration.version
    first = kept.apply(proposal(tmp_path), MODEL, **WHO)
    assert first.version == f"{own}+site.1"
    assert kept.current(MODEL).window_of(STRATUM) == str(STRATUM)
    second = kept.apply(proposal(tmp_path, based_on=first.version, seed=2), MODEL, **WHO)
    assert kept.current(MODEL).version == second.version == f"{own}+site.2"
    kept.revert(MODEL, first.version, **WHO)
    assert kept.current(MODEL).version == first.version
    before = lines(tmp_path)
    kept.revert(MODEL, own, by="B", reason="back to the start")
    assert kept.current(MODEL) == MODEL.calibration
    assert lines(tmp_path)[:-1] == before, "the history is only added to"
    told = [(entry.number, entry.action, entry.version, entry.by) for entry in kept.history()]
    assert told == [
        (1, "apply", f"{own}+site.1", "A. Physicist"),
        (2, "apply", f"{own}+site.2", "A. Physicist"),
        (3, "revert", f"{own}+site.1", "A. Physicist"),
        (4, "revert", own, "B"),
    ]
    assert kept.history()[0].data_sha256 == "0" * 64


def test_another_models_proposal_is_refused_and_its_history_is_its_own(kept: Calibrations, tmp_path: Path) -> None:
    other = replace(MODEL, name="other", weights_sha256="ab" * 32)
    with pytest.raises(ConfigError, match=f"made for weights {'ab' * 8}.*propose anew"):
        kept.apply(proposal(tmp_path, other), MODEL, **WHO)
    kept.apply(proposal(tmp_path), MODEL, **WHO)
    assert kept.current(other) == other.calibration
    with pytest.raises(ConfigError, match="there is no calibration"):
        kept.revert(other, f"{MODEL.calibration.version}+site.1", **WHO)


def test_a_proposal_on_a_calibration_that_counts_no_more_is_refused(kept: Calibrations, tmp_path: Path) -> None:
    kept.apply(proposal(tmp_path), MODEL, **WHO)
    with pytest.raises(ConfigError, match=r"site\.1 counts now"):
        kept.apply(proposal(tmp_path), MODEL, **WHO)
    assert len(kept.history()) == 1


@pytest.mark.parametrize("missing", ["by", "reason"])
def test_nobody_and_no_reason_are_refused(kept: Calibrations, tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"--{missing}"):
        kept.apply(proposal(tmp_path), MODEL, **{**WHO, missing: " "})
    assert kept.history() == ()


@pytest.mark.parametrize(
    ("content", "said"), [("{}", "made_at"), ("no json", "Invalid JSON"), (None, "cannot be read")]
)
def test_what_is_no_proposal_is_refused(kept: Calibrations, tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "given.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=said):
        kept.apply(path, MODEL, **WHO)


def test_what_another_hand_altered_is_refused(kept: Calibrations, tmp_path: Path) -> None:
    entry = kept.apply(proposal(tmp_path), MODEL, **WHO)
    kept.revert(MODEL, entry.version, **WHO)
    file, history = tmp_path / "calibration" / entry.file, tmp_path / "calibration" / "history.jsonl"
    content = file.read_text()
    file.write_text(content.replace('"exams": 300', '"exams": 900'))
    with pytest.raises(ConfigError, match="not the file that was applied"):
        kept.current(MODEL)
    file.write_text(content)
    history.write_text(history.read_text().replace("A. Physicist", "Nobody", 1))
    with pytest.raises(ConfigError, match="was altered"):
        kept.current(MODEL)


def test_an_apply_that_was_cut_off_leaves_nothing_that_counts(kept: Calibrations, tmp_path: Path) -> None:
    entry = kept.apply(proposal(tmp_path), MODEL, **WHO)
    history = tmp_path / "calibration" / "history.jsonl"
    history.write_text(history.read_text() + '{"number":2,"at":"2026')
    (tmp_path / "calibration" / "0002.json").write_text("{")
    assert kept.current(MODEL).version == entry.version
    again = kept.apply(proposal(tmp_path, based_on=entry.version, seed=2), MODEL, **WHO)
    assert kept.current(MODEL).version == again.version
    assert [each.number for each in kept.history()] == [1, 2]


def test_the_served_model_is_found_in_a_folder_and_in_a_zip(tmp_path: Path) -> None:
    card = json.loads((DEMO / "card.json").read_text())
    assert MODEL.weights_sha256 == card["weights_sha256"]
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for file in DEMO.iterdir():
            archive.write(file, file.name)
    assert served_model(ReadingSettings(bundles=(str(tmp_path / "bundle.zip"),))) == MODEL
    with pytest.raises(ConfigError, match="holds no bundle"):
        served_model(ReadingSettings(bundles=(str(tmp_path / "none"),)))
    assert ALL in MODEL.calibration.windows
