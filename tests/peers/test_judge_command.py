"""`mammo-node judge`: it hears every outside judge, believes none that is silent, and says which are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from highdicom.pr import GrayscaleSoftcopyPresentationState
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from node import judges
from node.judges import Judge, Judged, Outcome, Verdict
from node.results import mammography_cad_sr, overlay_sc, presentation_state, summary_sc
from node.results._assertions import walk
from tests.support import absent
from tests.support_exams import as_file, exam
from tests.support_readings import encoded, instance_uid, single
from tests.support_results import CASES


@pytest.fixture(scope="module", autouse=True)
def _judges() -> None:
    if command := judges.install(judges.OUTSIDE):
        absent(f"not every judge is installed: {command}")


def cad() -> Dataset:
    return single(mammography_cad_sr.build(CASES["positive"](), mammography_cad_sr.OPTIONS()))


def card() -> Dataset:
    return single(summary_sc.build(CASES["positive"](), summary_sc.OPTIONS()))


def foreign_presentation() -> Dataset:
    """By highdicom, of an image with letters outside ASCII in its name, which dcmpschk does not know."""
    source = next(iter(exam()))
    source.PatientName, source.SpecificCharacterSet = "Sæther^Åse", "ISO_IR 192"
    return GrayscaleSoftcopyPresentationState(
        [source], "1.2.3.1", 9, "1.2.3.2", 1, "maker", "model", "1", "1", "LABEL", content_creator_name="A^B"
    )


def no_completion_flag(dataset: Dataset) -> None:
    del dataset.CompletionFlag


def wrong_relationship(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if node.item.get("RelationshipType") == "HAS CONCEPT MOD")
    node.item.RelationshipType = "CONTAINS"


def no_lut_shape(dataset: Dataset) -> None:
    del dataset.PresentationLUTShape


def untouched(_: Dataset) -> None:
    pass


Make, Break = Callable[[], Dataset], Callable[[Dataset], None]


def verdict(judge: Judge, made: Dataset, folder: Path) -> Verdict:
    path = folder / "result.dcm"
    path.write_bytes(encoded(made))
    (said,) = judges.of_file(Judged(path, str(made.SOPClassUID), str(made.StudyInstanceUID)), [judge], {})
    return said


@pytest.mark.parametrize(
    ("judge", "make", "breaks"),
    [
        (judges.DCIODVFY, cad, no_completion_flag),
        (judges.DSRDUMP, cad, no_completion_flag),
        (judges.DCMPSCHK, foreign_presentation, no_lut_shape),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_judge_passes_what_is_sound_and_hears_what_is_broken(
    tmp_path: Path, judge: Judge, make: Make, breaks: Break
) -> None:
    for breaking, outcome in ((untouched, Outcome.PASS), (breaks, Outcome.SHORT)):
        made = make()
        breaking(made)
        said = verdict(judge, made, tmp_path)
        assert said.outcome is outcome, f"{judge.name}: {said.faults}"
        assert bool(said.faults) == (outcome is Outcome.SHORT)


def test_the_sr_validator_hears_what_is_broken(tmp_path: Path) -> None:
    """That it passes what is sound, the command's test shows: every start of it takes seconds."""
    made = cad()
    wrong_relationship(made)
    said = verdict(judges.SR_VALIDATOR, made, tmp_path)
    assert said.outcome is Outcome.SHORT
    assert "Incorrect relationship" in said.faults[0]


def test_dcentvfy_hears_of_two_names_for_one_patient(tmp_path: Path) -> None:
    made, other = cad(), card()
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for name, outcome in ((str(made.PatientName), Outcome.PASS), ("Annen^Kvinne", Outcome.SHORT)):
        other.PatientName = name
        for path, dataset in zip(paths, (made, other), strict=True):
            path.write_bytes(encoded(dataset))
        (said,) = judges.of_study("1.2", paths, judges.OUTSIDE)
        assert said.outcome is outcome, said.faults


@pytest.mark.parametrize("judge", judges.OUTSIDE, ids=lambda judge: judge.name)
@pytest.mark.parametrize("text", ["", "JAXP0801003: the compiler encountered XPath expressions"])
def test_a_judge_that_says_nothing_of_the_file_and_ends_with_0_has_not_passed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge, text: str
) -> None:
    program = tmp_path / judge.command[0]
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = judge.judge([tmp_path / "x.dcm"], "x")
    assert (said.outcome, bool(said.faults)) == (Outcome.BROKEN, True)


def test_a_file_that_is_no_dicom_passes_no_judge(tmp_path: Path) -> None:
    path = tmp_path / "letter.dcm"
    path.write_bytes(b"not DICOM" * 100)
    for judge in (judges.DCIODVFY, judges.DSRDUMP, judges.DCMPSCHK, judges.DCENTVFY):
        assert judge.judge([path], "letter").outcome is not Outcome.PASS, judge.name


def test_each_judge_gets_only_what_it_understands() -> None:
    def named(uid: str) -> list[str]:
        return [judge.name for judge in judges.OF_A_FILE if judge.judges(uid)]

    assert named(SecondaryCaptureImageStorage) == ["dciodvfy"]
    assert named("1.2.840.10008.5.1.4.1.1.88.50") == ["dciodvfy", "DicomSRValidator", "dsrdump"]
    assert named("1.2.840.10008.5.1.4.1.1.88.59") == ["dciodvfy", "DicomSRValidator", "dsrdump"]
    assert named("1.2.840.10008.5.1.4.1.1.11.1") == ["dciodvfy", "dcmpschk"]


# --- our own rules, of what no outside judge sees


def overlay() -> Dataset:
    return overlay_sc.build(CASES["positive"](), overlay_sc.OPTIONS())["L CC"]


def own_presentation() -> Dataset:
    return presentation_state.build(CASES["positive"](), presentation_state.OPTIONS())["L"]


def wrong_side(dataset: Dataset) -> None:
    dataset.ImageLaterality = "R"


def another_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


def half_of_the_area(dataset: Dataset) -> None:
    dataset.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner = [10, 10]


@pytest.mark.parametrize(
    ("make", "breaks"), [(overlay, wrong_side), (card, another_study), (own_presentation, half_of_the_area)]
)
def test_our_own_rules_pass_what_is_sound_and_see_what_is_broken(tmp_path: Path, make: Make, breaks: Break) -> None:
    headers = {str(source.SOPInstanceUID): source for source in CASES["positive"]().sources}
    for breaking, outcome in ((untouched, Outcome.PASS), (breaks, Outcome.SHORT)):
        made = make()
        breaking(made)
        path = tmp_path / "result.dcm"
        path.write_bytes(encoded(made))
        (said,) = judges.of_file(Judged(path, str(made.SOPClassUID), "1.2"), [], headers)
        assert (said.judge, said.outcome) == (judges.OWN, outcome), said.faults


# --- the command


def run(*arguments: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node.cli", "judge", *map(str, arguments)]
    env = {"PATH": path} if path is not None else None
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=env)


def images(folder: Path) -> Path:
    """The headers that the report was made from, as files."""
    folder.mkdir()
    for source in CASES["positive"]().sources:
        (folder / f"{source.SOPInstanceUID}.dcm").write_bytes(as_file(source))
    assert (folder / f"{instance_uid(1)}.dcm").is_file()
    return folder


@pytest.mark.timeout(300)
def test_the_command_tells_every_verdict_and_our_own_rules_see_what_no_judge_does(tmp_path: Path) -> None:
    outside = cad()
    for node in walk(outside):
        if node.item.get("ValueType") == "SCOORD":
            node.item.GraphicData = [99999.0] * len(node.item.GraphicData)
    results = tmp_path / "results"
    results.mkdir()
    (results / "cad.dcm").write_bytes(encoded(outside))
    (results / "card.dcm").write_bytes(encoded(card()))
    done = run(results, "--images", images(tmp_path / "images"), "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, told["missing"], told["install"]) == (1, [], "")
    said = {(Path(each["file"]).name, each["judge"]): each for each in told["verdicts"]}
    short = {key for key, each in said.items() if each["outcome"] != Outcome.PASS}
    assert short == {("cad.dcm", "mammo-node")}, "coordinates outside the image, seen by our own rules alone"
    assert {judge for _, judge in said} == {"dciodvfy", "DicomSRValidator", "dsrdump", "dcentvfy", "mammo-node"}


def test_without_any_judge_nothing_has_passed_and_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "card.dcm").write_bytes(encoded(card()))
    done = run(tmp_path, path=str(tmp_path))
    assert done.returncode == 2
    assert "apt-get install --no-install-recommends dcmtk default-jre-headless dicom3tools" in done.stdout
    assert "nothing could judge 1 of 1 files" in done.stderr


def test_what_it_passes_it_calls_passed(tmp_path: Path) -> None:
    (tmp_path / "card.dcm").write_bytes(encoded(card()))
    assert dcmread(tmp_path / "card.dcm").SOPClassUID == SecondaryCaptureImageStorage
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass" in done.stdout
    assert "--images" in done.stdout, "it says that our own rules did not judge"
