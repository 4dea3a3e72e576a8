"""Rendering without a network: the objects and pictures of an exam, the same from its images and from its reading."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pydicom import dcmread

from ai.findings import Reading
from ai.phantom import ExamSpec, Identity
from ai.reasons import Reason, ReasonCode
from node import dicom_files, rendering, results
from node.commands.render import readings
from node.config import Config, config_from
from node.errors import ConfigError, NodeError
from node.simulator import exams
from tests.support_readings import unread_exam

KINDS = ["mammography_cad_sr", "measurement_sr", "summary_sc"]
COMPREHENSIVE = {"kind": "measurement_sr", "sop_class": "comprehensive"}


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def settings(*kinds: object) -> Config:
    destinations = {"a": {"type": "folder", "folder": "results", "results": list(kinds)}}
    return config_from({"destinations": destinations, "reading": {"threads": 1}}, Path.cwd())


class Desk:
    """A folder with an exam's images, and what `mammo-node render` made of them in `first`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        identity = Identity(patient_name="Sætherås^Ánná", patient_id="SYN-1", character_set="ISO_IR 192")
        (made,) = exams.make_all([ExamSpec(name="exam", seed=7, identity=identity, pitch_mm=0.2)], folder / "exam")
        self.study, self.images = made.study_instance_uid, folder / "exam"
        config = {
            "destinations": {
                "a": {"type": "folder", "folder": "results", "results": KINDS},
                "b": {"type": "folder", "folder": "results", "results": ["summary_sc", COMPREHENSIVE]},
            },
            "reading": {"threads": 1},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        self.done = run("render", self.images, "--out", "first", "--json", cwd=folder)
        self.first = folder / "first" / self.study

    @property
    def reading(self) -> Reading:
        return Reading.from_json((self.first / "reading.json").read_text())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("render"))


def test_every_configured_object_is_written_once_with_a_picture_where_it_has_pixels(desk: Desk) -> None:
    assert desk.done.returncode == 0, desk.done.stderr
    told = json.loads(desk.done.stdout)
    assert [each["kind"] for each in told] == [*KINDS, "measurement_sr"], "what two destinations want is made once"
    assert told[3]["options"] == {**told[1]["options"], "sop_class": "comprehensive"}
    for each in told:
        made = dcmread(desk.folder / each["file"])
        assert made.SOPInstanceUID == each["sop_instance_uid"]
        assert str(made.PatientName) == "Sætherås^Ánná"
        assert bool(each["picture"]) == ("PixelData" in made)
    names = ["measurement_sr-2.dcm", "measurement_sr.dcm", "mammography_cad_sr.dcm", "summary_sc.dcm", "summary_sc.png"]
    assert {path.name for path in desk.first.iterdir()} == {*names, "reading.json"}


def test_the_picture_is_the_objects_pixels(desk: Desk) -> None:
    with Image.open(desk.first / "summary_sc.png") as picture:
        assert (np.asarray(picture) == dcmread(desk.first / "summary_sc.dcm").pixel_array).all()


def test_a_saved_reading_renders_to_the_same_bytes(desk: Desk) -> None:
    reading = desk.first / "reading.json"
    done = run("render", reading, "--images", desk.images, "--out", "second", cwd=desk.folder)
    assert done.returncode == 0, done.stderr
    assert f"study {desk.study}" in done.stdout
    for path in desk.first.iterdir():
        assert (desk.folder / "second" / desk.study / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_forms_that_read_and_show_write_hold_the_same_reading(desk: Desk, tmp_path: Path) -> None:
    alone = json.loads((desk.first / "reading.json").read_text())
    forms = {"alone": alone, "show": {"study": {}, "reading": alone}, "read": [{"read": True, "reading": alone}]}
    for name, content in forms.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content))
        assert readings(file) == [desk.reading], name


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "not a reading"), ('{"reading": null}', "holds no reading"), ("[]", "holds no reading"), ("{", "line 1")],
)
def test_a_file_that_is_no_reading_is_refused_with_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        readings(tmp_path / "other.json")


def test_what_cannot_be_rendered_is_said_before_anything_is_read(desk: Desk) -> None:
    for arguments, code, said in (
        ((desk.first / "reading.json", "--out", "x"), 2, "--images"),
        (("1.2.3", "--out", "x"), 1, "1.2.3 is no file or folder here, and no study of the node's"),
    ):
        done = run("render", *arguments, cwd=desk.folder)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (desk.folder / "x").exists()
    with pytest.raises(ConfigError, match=r"--result summary: there is .*summary_sc"):
        rendering.with_results(settings(*KINDS), ["summary"])


def test_images_that_were_not_read_are_not_taken_for_those_that_were(desk: Desk, tmp_path: Path) -> None:
    reading, files = desk.reading, dicom_files.find([desk.images]).files
    with pytest.raises(ConfigError, match=reading.inputs[0].sop_instance_uid):
        rendering.saved(
            reading, [file for file in files if file.sop_instance_uid != reading.inputs[0].sop_instance_uid]
        )
    altered = dcmread(files[0].path)
    altered.PixelData = altered.PixelData[:-2] + bytes([altered.PixelData[-2] ^ 1, altered.PixelData[-1]])
    altered.save_as(tmp_path / "altered.dcm")
    others = [replace(files[0], path=tmp_path / "altered.dcm"), *files[1:]]
    with pytest.raises(ConfigError, match="does not hold the pixels that were read"):
        rendering.saved(reading, others)


def test_only_what_was_asked_for_is_made_with_the_options_it_is_configured_with() -> None:
    config = rendering.with_results(settings(*KINDS[:2], COMPREHENSIVE), ["measurement_sr", "summary_sc"])
    (destination,) = config.destinations.values()
    assert [(each.kind, dict(each.options)) for each in destination.results] == [
        ("measurement_sr", {}),
        ("measurement_sr", {"sop_class": "comprehensive"}),
        ("summary_sc", {}),
    ]


def test_every_offered_kind_renders(desk: Desk, tmp_path: Path) -> None:
    """Also those that come later: what has pixels has a picture."""
    config = rendering.with_results(settings("summary_sc"), results.offered())
    files = dicom_files.find([desk.images]).files
    made = rendering.render(config, rendering.saved(desk.reading, files), tmp_path)
    assert [each for each in made if each.error] == []
    for each in made:
        assert bool(each.picture) == ("PixelData" in dcmread(each.file)), each.kind


def test_an_unread_exam_renders_and_a_conflict_of_patients_does_not(desk: Desk, tmp_path: Path) -> None:
    config, files = settings("summary_sc"), dicom_files.find([desk.images]).files
    unread = unread_exam(Reason(ReasonCode.MODEL_FAILED), study_instance_uid=desk.study)
    (card,) = rendering.render(config, rendering.saved(unread, files), tmp_path)
    assert card.picture
    conflict = unread_exam(Reason(ReasonCode.PATIENT_CONFLICT), study_instance_uid=desk.study)
    with pytest.raises(NodeError, match="sends nothing"):
        rendering.render(config, rendering.saved(conflict, files), tmp_path)


def test_read_saves_what_render_takes(desk: Desk) -> None:
    assert run("read", desk.images, "--out", "readings", cwd=desk.folder).returncode == 0
    (reading,) = readings(desk.folder / "readings" / f"{desk.study}.json")
    assert reading.heat_maps
    assert reading.views == desk.reading.views
